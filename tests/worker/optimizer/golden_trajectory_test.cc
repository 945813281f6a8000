// Whole runs against those of TRL and of the authors' functions: model, losses, group weights and optimiser together.
#include <gtest/gtest.h>

#include "common/robust/group_weights.h"
#include "tests/worker/support/golden_model.h"
#include "worker/objective/group_sums.h"
#include "worker/objective/pair_loss.h"
#include "worker/optimizer/optimizer.h"

namespace equipoise {
namespace {

constexpr std::int64_t kBatch = 8;

// Of a LoRA run, which starts from the family's golden adapter: no adapter, or that one, which stays as it was.
enum class Adapter { kNone, kTrainedAgainstBase, kTrainedAgainstItsStart, kDoraTrainedAgainstBase };

struct Recipe {
  const char* name;
  const char* family = "gemma";
  LossConfig loss = {.beta = 0.1};
  RobustSettings robust = {};
  bool decays_norms = true;
  std::int64_t micro_batch = kBatch;
  Adapter adapter = Adapter::kNone;
};

torch::Tensor pair_loss(const LossConfig& loss, const PairLogProbs& policy, const PairLogProbs& reference,
                        const torch::Tensor& answer_tokens_B2) {
  return pair_losses(loss, policy, reference, {.answer_tokens_B2 = answer_tokens_B2, .label_noise_B = {}}).loss_B;
}

// sum_i m[i,g] * value_i of each group.
std::vector<double> sum_by_group(MembershipsOfPairs memberships_B, const std::vector<double>& value_B,
                                 std::size_t num_groups) {
  std::vector<double> sum_K(num_groups);
  for (std::size_t i = 0; i < value_B.size(); ++i) {
    for (const Membership& membership : memberships_B[i]) sum_K[membership.group] += membership.weight * value_B[i];
  }
  return sum_K;
}

Decoder starting_policy(const Recipe& recipe) {
  Decoder policy = golden_decoder(policy_of(recipe.family));
  if (recipe.adapter == Adapter::kNone) return policy;
  const bool is_dora = recipe.adapter == Adapter::kDoraTrainedAgainstBase;
  const std::string folder = is_dora ? "golden/lm/models/gemma/dora_init" : lora_init_of(recipe.family);
  policy.attach(load_adapter(folder, policy.config(), torch::kFloat32, torch::kCPU));
  return policy;
}

Decoder fixed_reference(const Recipe& recipe, const Decoder& policy) {
  if (recipe.adapter == Adapter::kTrainedAgainstItsStart) return policy.frozen_copy();
  const std::string family = recipe.family;
  const bool has_own = recipe.adapter == Adapter::kNone;
  return golden_decoder(has_own ? reference_of(family) : policy_of(family)).frozen_copy();
}

// IPO squares differences of log-probs of several hundreds, so float32 shows earlier. From golden/lm.
struct Tolerances {
  double loss, grad_norm, alpha;
};
Tolerances tolerances(const LossConfig& loss) {
  return loss.type == LossType::kIpo ? Tolerances{1e-3, 1e-3, 2e-4} : Tolerances{1e-5, 1e-4, 1e-5};
}

torch::Tensor to_tensor(const std::vector<double>& values) { return torch::tensor(values, torch::kFloat32); }

std::vector<double> to_vector(const torch::Tensor& values_B) {
  const torch::Tensor wide = values_B.detach().to(torch::kFloat64).contiguous();
  return {wide.data_ptr<double>(), wide.data_ptr<double>() + wide.numel()};
}

class Trainer {
 public:
  explicit Trainer(const Recipe& recipe)
      : recipe_(recipe),
        data_(encode_pairs(read_preference_file("golden/lm/data/train.jsonl", Rejected::kRequired),
                           load_model_tokenizer(policy_of(recipe.family)), 1024, 1)),
        policy_(starting_policy(recipe)),
        reference_(fixed_reference(recipe, policy_)),
        weights_(recipe.robust, data_.pair_count_K, static_cast<double>(data_.pairs.size())),
        optimizer_({.learning_rate = 1e-3, .weight_decay = 0.01, .decay_norms = recipe.decays_norms, .warmup_steps = 5},
                   policy_.trained()) {
    // The matrices are too small to share, and tests run side by side.
    torch::set_num_threads(1);
  }

  struct Outcome {
    double loss = 0;
    OptimizerResult update;
  };

  Outcome step(std::int64_t step, const std::vector<std::int64_t>& indices) {
    std::vector<double> loss_B;
    {
      const torch::NoGradGuard no_grad;
      for (const auto& part : micro_batches(indices)) {
        for (const double loss : to_vector(losses(part))) loss_B.push_back(loss);
      }
    }
    const std::vector<double> coefficient_B = coefficients(indices, loss_B);
    Outcome outcome;
    std::size_t done = 0;
    for (const NamedTensor& parameter : policy_.trained()) parameter.tensor.mutable_grad() = torch::Tensor();
    for (const auto& part : micro_batches(indices)) {
      const auto begin = coefficient_B.begin() + static_cast<std::ptrdiff_t>(done);
      done += part.size();
      const torch::Tensor objective =
          (to_tensor({begin, begin + static_cast<std::ptrdiff_t>(part.size())}) * losses(part)).sum();
      objective.backward();
      outcome.loss += objective.item<double>();
    }
    outcome.update = optimizer_.step(step);
    return outcome;
  }

  std::vector<double> alpha_K() const { return weights_.alpha_K(); }
  const std::vector<NamedTensor>& parameters() const { return policy_.trained(); }

 private:
  std::vector<std::vector<std::int64_t>> micro_batches(const std::vector<std::int64_t>& indices) const {
    std::vector<std::vector<std::int64_t>> parts;
    for (auto begin = indices.begin(); begin < indices.end(); begin += recipe_.micro_batch) {
      parts.emplace_back(begin, begin + recipe_.micro_batch);
    }
    return parts;
  }

  torch::Tensor losses(const std::vector<std::int64_t>& indices) const {
    const PackedBatch batch = pack_pairs(data_.pairs, indices, torch::kCPU);
    PairLogProbs reference;
    if (recipe_.loss.type != LossType::kSft) reference = pair_log_probs(reference_, batch);
    return pair_loss(recipe_.loss, pair_log_probs(policy_, batch), reference, batch.answer_tokens_B2);
  }

  std::vector<double> coefficients(const std::vector<std::int64_t>& indices, const std::vector<double>& loss_B) {
    if (recipe_.loss.type == LossType::kSft && recipe_.loss.sft_average == SftAverage::kToken) {
      double tokens = 0;
      for (const auto i : indices)
        tokens += static_cast<double>(data_.pairs[static_cast<std::size_t>(i)].chosen_ids.size());
      return std::vector<double>(indices.size(), 1 / tokens);
    }
    if (recipe_.robust.mode == RobustMode::kNone) return std::vector<double>(indices.size(), 1.0 / kBatch);
    std::vector<std::span<const Membership>> memberships_B;
    for (const auto i : indices) memberships_B.emplace_back(data_.pairs[static_cast<std::size_t>(i)].memberships);
    const std::size_t num_groups = data_.group_names.size();
    const GroupSums sums =
        present_groups(sum_by_group(memberships_B, loss_B, num_groups),
                       sum_by_group(memberships_B, std::vector<double>(indices.size(), 1.0), num_groups), kBatch);
    const auto weight = weights_.step(sums);
    const auto scale =
        estimator_scale(sums, recipe_.robust.estimator, data_.pair_count_K, static_cast<double>(data_.pairs.size()));
    // The authors' *_total runs leave out the division by |B|.
    const double paper = recipe_.robust.estimator == Estimator::kDatasetScaled ? kBatch : 1;
    std::vector<double> coefficient_B = pair_coefficients(memberships_B, sums, weight, scale);
    for (double& coefficient : coefficient_B) coefficient *= paper;
    return coefficient_B;
  }

  Recipe recipe_;
  EncodedDataset data_;
  Decoder policy_, reference_;
  GroupWeights weights_;
  Optimizer optimizer_;
};

class GoldenTrajectory : public ::testing::TestWithParam<Recipe> {};

TEST_P(GoldenTrajectory, IsFollowedStepByStep) {
  const auto steps =
      read_json(golden_file("trajectories/" + std::string(GetParam().name) + ".json", GetParam().family))["steps"];
  const Tolerances tolerance = tolerances(GetParam().loss);
  Trainer trainer(GetParam());
  for (std::size_t t = 0; t < steps.size(); ++t) {
    const auto outcome = trainer.step(static_cast<std::int64_t>(t), steps[t]["indices"]);
    const double loss = steps[t]["loss"], grad_norm = steps[t]["grad_norm"];
    EXPECT_NEAR(outcome.loss, loss, tolerance.loss * std::abs(loss)) << t;
    EXPECT_NEAR(outcome.update.grad_norm, grad_norm, tolerance.grad_norm * grad_norm) << t;
    EXPECT_NEAR(outcome.update.learning_rate, steps[t]["lr"].get<double>(), 1e-18) << t;
    const auto alpha_K = trainer.alpha_K();
    if (GetParam().robust.mode != RobustMode::kNone) {
      for (std::size_t g = 0; g < alpha_K.size(); ++g)
        EXPECT_NEAR(alpha_K[g], steps[t]["alpha"][g], tolerance.alpha) << t;
    }
    double sum_of_squares = 0;
    for (const NamedTensor& parameter : trainer.parameters()) {
      sum_of_squares += parameter.tensor.detach().to(torch::kFloat64).square().sum().item<double>();
    }
    const double norm = steps[t]["param_norm"];
    EXPECT_NEAR(std::sqrt(sum_of_squares), norm, 1e-7 * norm) << t;
  }
  const auto final_file =
      golden_file("trajectories/" + std::string(GetParam().name) + ".final.safetensors", GetParam().family);
  if (!std::filesystem::exists(final_file)) return;
  const SafetensorsFile expected = SafetensorsFile::open(final_file);
  for (const NamedTensor& parameter : trainer.parameters()) {
    if (expected.find(parameter.name) == nullptr) continue;
    EXPECT_LT(largest_difference(parameter.tensor, golden_tensor(expected, parameter.name)), 2e-4) << parameter.name;
  }
}

RobustSettings robust(RobustMode mode, double step_size, Estimator estimator = Estimator::kBatchMean) {
  RobustSettings settings;
  settings.mode = mode;
  settings.step_size = step_size;
  settings.estimator = estimator;
  return settings;
}
RobustSettings group_robust(double step_size) { return robust(RobustMode::kGroupRobust, step_size); }

std::string test_name(const std::string& family, const std::string& recipe) {
  std::string name = family + "_" + recipe;
  std::erase(name, '.');
  return name;
}
constexpr auto kRecipeName = [](const auto& recipe) { return test_name(recipe.param.family, recipe.param.name); };

std::vector<Recipe> recipes_of_every_family() {
  std::vector<Recipe> recipes;
  for (const char* family : kGoldenFamilies) {
    recipes.push_back({.name = "dpo", .family = family});
    recipes.push_back({.name = "gr_dpo_mean", .family = family, .robust = group_robust(0.1)});
    recipes.push_back({.name = "gr_dpo_total",
                       .family = family,
                       .robust = robust(RobustMode::kGroupRobust, 0.01 * kBatch, Estimator::kDatasetScaled)});
  }
  return recipes;
}
INSTANTIATE_TEST_SUITE_P(Families, GoldenTrajectory, ::testing::ValuesIn(recipes_of_every_family()), kRecipeName);

INSTANTIATE_TEST_SUITE_P(
    Recipes, GoldenTrajectory,
    ::testing::Values(Recipe{.name = "dpo_hf_decay_groups", .decays_norms = false},
                      Recipe{.name = "dpo_ls0.1", .loss = {.beta = 0.1, .label_smoothing = 0.1}},
                      Recipe{.name = "ipo_sum", .loss = {.type = LossType::kIpo}},
                      Recipe{.name = "gr_dpo_mean_accum2", .robust = group_robust(0.1), .micro_batch = 4},
                      Recipe{.name = "gr_ipo_mean", .loss = {.type = LossType::kIpo}, .robust = group_robust(0.01)},
                      Recipe{.name = "is_dpo_mean", .robust = robust(RobustMode::kImportance, 0)},
                      Recipe{.name = "sft_token_mean", .loss = {.type = LossType::kSft}},
                      Recipe{.name = "sft_sequence_sum",
                             .loss = {.type = LossType::kSft, .sft_average = SftAverage::kSequence}}),
    kRecipeName);

std::vector<Recipe> adapter_recipes() {
  std::vector<Recipe> recipes;
  for (const char* family : {"gemma", "llama"}) {
    recipes.push_back({.name = "lora_dpo_ref_base", .family = family, .adapter = Adapter::kTrainedAgainstBase});
    recipes.push_back(
        {.name = "lora_dpo_ref_initial_adapter", .family = family, .adapter = Adapter::kTrainedAgainstItsStart});
  }
  recipes.push_back({.name = "dora_dpo_ref_base", .adapter = Adapter::kDoraTrainedAgainstBase});
  return recipes;
}
INSTANTIATE_TEST_SUITE_P(Adapters, GoldenTrajectory, ::testing::ValuesIn(adapter_recipes()), kRecipeName);

struct GradientCase {
  const char* name;
  const char* family;
  LossConfig loss;
};
class GoldenGradient : public ::testing::TestWithParam<GradientCase> {};

TEST_P(GoldenGradient, OfTheMeanLossIsThatOfTransformers) {
  const std::string name = GetParam().name, family = GetParam().family;
  const auto golden = read_json(golden_file("pairs.json", family));
  const SafetensorsFile expected = SafetensorsFile::open(golden_file("gradients.safetensors", family));
  const bool is_ipo = GetParam().loss.type == LossType::kIpo;
  const Decoder policy = golden_decoder(policy_of(family)), reference = golden_decoder(reference_of(family));
  const PackedBatch batch = pack_all(golden_pairs(family));
  const PairLogProbs reference_log_probs = pair_log_probs(reference.frozen_copy(), batch);
  const torch::Tensor loss =
      pair_loss(GetParam().loss, pair_log_probs(policy, batch), reference_log_probs, batch.answer_tokens_B2).mean();
  loss.backward();
  EXPECT_NEAR(loss.item<double>(), golden["mean_loss"][name], (is_ipo ? 1e-3 : 1e-5) * loss.item<double>());
  double sum_of_squares = 0;
  for (const NamedTensor& parameter : policy.parameters()) {
    sum_of_squares += parameter.tensor.grad().to(torch::kFloat64).square().sum().item<double>();
    if (expected.find(name + "/" + parameter.name) == nullptr) continue;
    const torch::Tensor gradient = golden_tensor(expected, name + "/" + parameter.name);
    const double scale = gradient.abs().max().item<double>();
    EXPECT_LT(largest_difference(parameter.tensor.grad(), gradient), (is_ipo ? 1e-3 : 1e-4) * scale) << parameter.name;
  }
  const double norm = golden["grad_norm"][name];
  EXPECT_NEAR(std::sqrt(sum_of_squares), norm, (is_ipo ? 1e-3 : 1e-4) * norm);
}

std::vector<GradientCase> gradients_of_every_family() {
  std::vector<GradientCase> cases;
  for (const char* family : kGoldenFamilies) {
    cases.push_back({"dpo", family, {.beta = 0.1}});
    cases.push_back({"dpo_ls0.1", family, {.beta = 0.1, .label_smoothing = 0.1}});
    cases.push_back({"ipo_sum", family, {.type = LossType::kIpo}});
    cases.push_back({"ipo_trl", family, {.type = LossType::kIpo, .length_normalized = true}});
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Families, GoldenGradient, ::testing::ValuesIn(gradients_of_every_family()), kRecipeName);

}  // namespace
}  // namespace equipoise
