#include "worker/language_model/step.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <mutex>
#include <nlohmann/json.hpp>

#include "common/protocol/step_phases.h"
#include "tests/worker/support/owned_pair.h"
#include "worker/collective/cpu_collective.h"
#include "worker/language_model/pair_places.h"
#include "worker/language_model/pair_weights.h"
#include "worker/language_model/training_data.h"

namespace equipoise {
namespace step_test {

constexpr std::int64_t kBatch = 8;

nlohmann::json read_json(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

// The training pairs in the order in which the golden runs saw them, so that consecutive pairs are their batches.
EncodedDataset golden_pairs(const ModelTokenizer& tokenizer, std::int64_t steps) {
  const PreferenceData data = read_preference_file("golden/lm/data/train.jsonl", Rejected::kRequired);
  EncodedDataset encoded = encode_pairs(data, tokenizer, 1024, 1);
  const auto batches = read_json("golden/lm/data/batches.json")["zero_based_line_indices"];
  EncodedPairs in_order;
  for (std::int64_t step = 0; step < steps; ++step) {
    for (const std::size_t index : batches[static_cast<std::size_t>(step)]) in_order.add(encoded.pairs[index]);
  }
  encoded.pairs = std::move(in_order);
  return encoded;
}

// The pairs of one batch, in a group of 6 and one of 2.
EncodedDataset uneven_groups(const ModelTokenizer& tokenizer) {
  EncodedDataset data = golden_pairs(tokenizer, 1);
  std::vector<OwnedPair> pairs = owned(data.pairs);
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i].memberships = {{i % 4 == 1 ? 1u : 0u, 1.0}};
  data.pairs = encoded(pairs);
  data.group_names = {"large", "small"};
  data.pair_count_K = {6, 2};
  return data;
}

enum class Counted { kOnce, kTwice, kByWeight };

// The first half of the pairs counts twice: each is there twice, or has twice the weight of the others.
void count_first_half(Counted counted, EncodedDataset& data) {
  std::vector<OwnedPair> pairs = owned(data.pairs);
  const std::size_t half = pairs.size() / 2;
  if (counted == Counted::kTwice) {
    const std::vector<OwnedPair> again(pairs.begin(), pairs.begin() + static_cast<std::ptrdiff_t>(half));
    pairs.insert(pairs.end(), again.begin(), again.end());
  }
  if (counted == Counted::kByWeight) {
    for (std::size_t i = 0; i < half; ++i) pairs[i].weight = 2;
  }
  data.pairs = encoded(pairs);
}

std::vector<double> sizes_of(const EncodedDataset& data, std::span<const double> weight_N) {
  std::vector<double> count_K(data.group_names.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    for (const auto& [group, m] : data.pair(i).memberships) count_K[group] += m * (weight_N.empty() ? 1 : weight_N[i]);
  }
  return count_K;
}

Strata strata_of(const EncodedDataset& data) {
  std::vector<std::uint32_t> stratum_N;
  for (const EncodedPair pair : data.pairs) stratum_N.push_back(pair.memberships.front().group);
  return make_strata(std::move(stratum_N), data.group_names, {});
}

struct Recipe {
  RobustSettings robust{};
  LossConfig loss{};
  torch::Dtype dtype = torch::kFloat32;
  std::int64_t micro_batch_tokens = 1 << 20;
  std::int64_t steps = 20;
  int world_size = 1;
  bool stratified = false;
  bool uneven = false;  // uneven_groups, all of them in every step
  std::int64_t batch = kBatch;
  Counted counted = Counted::kOnce;
  bool keeps_pair_losses = false;
};

struct Trajectory {
  std::vector<double> loss, grad_norm;
  std::vector<std::vector<double>> alpha;
  std::vector<torch::Tensor> parameters;
  std::vector<std::string> names;
  // Of each step, where they are kept: shares of pairs, and the sums that they are of.
  std::vector<std::vector<GroupShares>> shares;
  std::vector<std::size_t> places;  // of the batch
};

// Runs the golden recipe through train_step on `world_size` ranks; returns what rank 0 saw, after checking that the
// other ranks ended with the same parameters.
Trajectory train(const Recipe& run) {
  const ModelTokenizer tokenizer = load_model_tokenizer("golden/lm/models/gemma/policy");
  EncodedDataset data = run.uneven ? uneven_groups(tokenizer) : golden_pairs(tokenizer, run.steps);
  if (run.counted != Counted::kOnce) count_first_half(run.counted, data);
  const std::vector<double> weight_N =
      pair_weights(data.pairs, std::array{static_cast<std::int64_t>(data.size())}).weight_N;
  if (run.counted != Counted::kOnce) data.pair_count_K = sizes_of(data, weight_N);
  Trajectory trajectory;
  std::mutex mutex;
  std::vector<double> sums_of_ranks;
  run_ranks(run.world_size, [&](Collective& collective) {
    const Decoder policy = Decoder::load("golden/lm/models/gemma/policy", run.dtype, torch::kCPU);
    const Decoder reference = Decoder::load("golden/lm/models/gemma/reference", run.dtype, torch::kCPU);
    const AnswerLogProbs reference_log_probs = compute_log_probs(
        reference, {.pairs = data.pairs, .token_budget = 4096, .ranks = collective, .whose = "the reference"});
    // Small buckets, so that there are several.
    GradientBuckets gradients(policy.parameters(), collective, 64 << 10);
    Optimizer optimizer({.learning_rate = 1e-3, .weight_decay = 0.01, .max_grad_norm = 1.0, .warmup_steps = 5},
                        policy.parameters());
    ShardCursor cursor({.shuffle = run.stratified,
                        .num_pairs = static_cast<std::int64_t>(data.pairs.size()),
                        .global_batch_size = run.batch,
                        .world_size = run.world_size,
                        .stratified = run.stratified,
                        .end_step = run.steps},
                       run.stratified ? std::optional(strata_of(data)) : std::nullopt);
    OwnStepWeights weights(GroupWeights(run.robust, data.pair_count_K, static_cast<double>(data.pairs.size())));
    StepParts parts{.inputs = {.decoder = policy,
                               .loss = run.loss,
                               .pairs = data.pairs,
                               .reference = reference_log_probs,
                               .weight_N = weight_N},
                    .robust = run.robust,
                    .group_pair_count_K = data.pair_count_K,
                    .micro_batch_tokens = run.micro_batch_tokens,
                    .cursor = cursor,
                    .host = collective,
                    .gradients = gradients,
                    .optimizer = optimizer,
                    .weights = weights,
                    .keeps_pair_losses = run.keeps_pair_losses};
    const PairPlaces places(data.pairs, {{.file = "train.jsonl", .counts = {.pairs = data.size()}}});
    const bool is_first = collective.info().rank == 0;
    for (std::int64_t step = 0; step < run.steps; ++step) {
      const StepResult result = train_step(parts, step);
      // The coordinator counts all others as one.
      for (const PhaseSeconds& taken : result.phases) EXPECT_EQ(step_phase_label(taken.phase), taken.phase);
      if (!is_first) continue;
      trajectory.loss.push_back(result.loss);
      trajectory.grad_norm.push_back(result.grad_norm);
      trajectory.alpha.push_back(weights.weights().alpha_K());
      trajectory.shares.push_back(places.shares(result.pair_losses, result.sums.group_sums()));
      trajectory.places.push_back(result.pair_losses.size());
    }
    double sum = 0;
    for (const NamedTensor& parameter : policy.parameters()) sum += parameter.tensor.detach().sum().item<double>();
    const std::lock_guard lock(mutex);
    sums_of_ranks.push_back(sum);
    if (!is_first) return;
    for (const NamedTensor& parameter : policy.parameters()) {
      trajectory.parameters.push_back(parameter.tensor.detach());
      trajectory.names.push_back(parameter.name);
    }
  });
  for (const double sum : sums_of_ranks) EXPECT_EQ(sum, sums_of_ranks.front()) << "ranks have drifted apart";
  return trajectory;
}

double largest_difference(const Trajectory& a, const Trajectory& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.parameters.size(); ++i) {
    largest = std::max(largest, (a.parameters[i] - b.parameters[i]).abs().max().item<double>());
  }
  return largest;
}

double largest_alpha_difference(const Trajectory& a, const Trajectory& b) {
  double largest = 0;
  for (std::size_t t = 0; t < a.alpha.size(); ++t) {
    for (std::size_t g = 0; g < a.alpha[t].size(); ++g) {
      largest = std::max(largest, std::abs(a.alpha[t][g] - b.alpha[t][g]));
    }
  }
  return largest;
}

const RobustSettings kGroupRobust{.mode = RobustMode::kGroupRobust,
                                  .estimator = Estimator::kBatchMean,
                                  .step_size = 0.1,
                                  .importance_weight_K = {},
                                  .baseline_K = {},
                                  .counted_K = {}};

// Tolerances from golden/lm: the noise of another valid kernel, see tests/golden/README.md.
void expect_golden(const Trajectory& ours, const std::string& name) {
  const auto golden = read_json("golden/lm/golden/gemma/trajectories/" + name + ".json")["steps"];
  ASSERT_EQ(golden.size(), ours.loss.size());
  for (std::size_t t = 0; t < golden.size(); ++t) {
    const double loss = golden[t]["loss"], grad_norm = golden[t]["grad_norm"];
    EXPECT_NEAR(ours.loss[t], loss, 1e-5 * std::abs(loss)) << name << " step " << t;
    EXPECT_NEAR(ours.grad_norm[t], grad_norm, 1e-4 * grad_norm) << name << " step " << t;
    if (!golden[t].contains("alpha")) continue;
    for (std::size_t g = 0; g < ours.alpha[t].size(); ++g) {
      EXPECT_NEAR(ours.alpha[t][g], golden[t]["alpha"][g].get<double>(), 1e-5) << name << " step " << t;
    }
  }
}

TEST(TrainStep, FollowsTheAuthorsGroupRobustTrajectory) {
  expect_golden(train({.robust = kGroupRobust}), "gr_dpo_mean");
}

TEST(TrainStep, FollowsTheAuthorsGroupRobustTrajectoryOnThreeRanks) {
  expect_golden(train({.robust = kGroupRobust, .world_size = 3}), "gr_dpo_mean");
}

// The losses of all ranks' pairs come to rank 0 in a sum of their own, and nothing else of a step changes by a bit.
TEST(TrainStep, SaysWhatEachPairAddsToTheLossSums) {
  for (const int ranks : {1, 3, 5}) {
    for (const bool stratified : {false, true}) {
      Recipe recipe{.robust = kGroupRobust,
                    .micro_batch_tokens = 200,
                    .steps = 4,
                    .world_size = ranks,
                    .stratified = stratified,
                    .counted = Counted::kByWeight};
      const Trajectory without = train(recipe);
      recipe.keeps_pair_losses = true;
      const Trajectory kept = train(recipe);
      EXPECT_EQ(kept.loss, without.loss);
      EXPECT_EQ(kept.alpha, without.alpha);
      EXPECT_EQ(kept.grad_norm, without.grad_norm);
      EXPECT_EQ(largest_difference(kept, without), 0);
      EXPECT_EQ(without.places.front(), 0u);
      for (std::size_t step = 0; step < kept.shares.size(); ++step) {
        EXPECT_EQ(kept.places[step], static_cast<std::size_t>(kBatch));
        for (const GroupShares& group : kept.shares[step]) {
          double sum = group.rest;
          for (const PairShare& pair : group.top) sum += pair.share;
          EXPECT_NEAR(sum, group.loss_sum, 1e-12 * group.loss_sum) << ranks << " ranks, step " << step;
        }
      }
    }
  }
}

TEST(TrainStep, FollowsTrlsPlainTrajectory) { expect_golden(train({}), "dpo"); }

TEST(TrainStep, GivesTheSameForAnyNumberOfRanks) {
  const Recipe alone{.robust = kGroupRobust, .dtype = torch::kFloat64, .steps = 6};
  const Trajectory expected = train(alone);
  for (const int world_size : {2, 4, 7}) {
    Recipe together = alone;
    together.world_size = world_size;
    const Trajectory ours = train(together);
    EXPECT_LT(largest_alpha_difference(ours, expected), 1e-12) << world_size;
    EXPECT_LT(largest_difference(ours, expected), 1e-10) << world_size;
  }
}

TEST(TrainStep, GivesTheSameForAnyNumberOfRanksAndMicroBatchesOfStratifiedBatches) {
  Recipe alone{.robust = kGroupRobust, .dtype = torch::kFloat64, .steps = 4, .stratified = true};
  alone.robust.estimator = Estimator::kDatasetScaled;
  const Trajectory expected = train(alone);
  Recipe together = alone;
  together.world_size = 3;
  together.micro_batch_tokens = 100;
  const Trajectory ours = train(together);
  EXPECT_LT(largest_alpha_difference(ours, expected), 1e-12);
  EXPECT_LT(largest_difference(ours, expected), 1e-10);
}

std::vector<RobustSettings> every_objective() {
  std::vector<RobustSettings> objectives(5, kGroupRobust);
  objectives[0].mode = RobustMode::kNone;
  objectives[1].mode = RobustMode::kImportance;
  objectives[1].estimator = Estimator::kBatchSum;
  objectives[2].estimator = Estimator::kDatasetScaled;
  objectives[3].estimator = Estimator::kBatchMean;
  objectives[4].estimator = Estimator::kUnbiased;
  return objectives;
}

// A batch of 12 that gives each group one half has the small one's pairs three times each: what it estimates is exact,
// and so every step must be that of all pairs.
TEST(TrainStep, WeighsPairsOfStratifiedBatchesByTheInverseOfHowOftenTheyCome) {
  for (const RobustSettings& robust : every_objective()) {
    const Recipe whole{.robust = robust, .dtype = torch::kFloat64, .steps = 4, .uneven = true};
    Recipe stratified = whole;
    stratified.stratified = true;
    stratified.batch = 12;
    stratified.micro_batch_tokens = 200;
    const Trajectory expected = train(whole), ours = train(stratified);
    for (std::size_t t = 0; t < ours.loss.size(); ++t) EXPECT_NEAR(ours.loss[t], expected.loss[t], 1e-12);
    EXPECT_LT(largest_alpha_difference(ours, expected), 1e-12);
    EXPECT_LT(largest_difference(ours, expected), 1e-10);
  }
}

// With all pairs in every step a pair of weight 2 is two pairs, for every objective; in the batches of 12 above too,
// where a pair weighs what the data says times what makes up for how often it comes.
TEST(TrainStep, WeighsPairsAsTheDataSays) {
  for (const RobustSettings& robust : every_objective()) {
    const Recipe twice{.robust = robust,
                       .dtype = torch::kFloat64,
                       .steps = 4,
                       .uneven = true,
                       .batch = 12,
                       .counted = Counted::kTwice};
    Recipe weighed = twice;
    weighed.batch = kBatch;
    weighed.counted = Counted::kByWeight;
    weighed.micro_batch_tokens = 200;
    weighed.world_size = 2;
    Recipe stratified = weighed;
    stratified.stratified = true;
    stratified.batch = 12;
    const Trajectory expected = train(twice);
    for (const Recipe& recipe : {weighed, stratified}) {
      const Trajectory ours = train(recipe);
      for (std::size_t t = 0; t < ours.loss.size(); ++t) EXPECT_NEAR(ours.loss[t], expected.loss[t], 1e-12);
      EXPECT_LT(largest_alpha_difference(ours, expected), 1e-12);
      EXPECT_LT(largest_difference(ours, expected), 1e-10);
    }
    EXPECT_GT(
        largest_difference(expected, train({.robust = robust, .dtype = torch::kFloat64, .steps = 4, .uneven = true})),
        1e-6);
  }
}

TEST(TrainStep, GivesTheSameWithManyMicroBatches) {
  const Recipe whole{.robust = kGroupRobust, .dtype = torch::kFloat64, .steps = 6};
  Recipe split = whole;
  split.micro_batch_tokens = 100;  // one to two pairs each
  const Trajectory expected = train(whole), ours = train(split);
  EXPECT_LT(largest_alpha_difference(ours, expected), 1e-12);
  EXPECT_LT(largest_difference(ours, expected), 1e-10);
}

// Equal weights; remembers what it was told.
class ToldWeights final : public StepWeights {
 public:
  void step(const ReportedStep& report, std::span<double> weight) override {
    loss_sum = report.sums.loss_sum;
    non_finite.assign(report.non_finite.begin(), report.non_finite.end());
    std::ranges::fill(weight, 0.25);
  }
  void weights_before_losses(std::span<const std::uint32_t> /*groups*/, std::span<double> weight) override {
    std::ranges::fill(weight, 0.25);
  }
  std::vector<double> loss_sum;
  std::vector<std::uint32_t> non_finite;
};

// A step of 8 golden pairs on two ranks, then a good one.
void expect_no_update(WeightUpdate update, double spoiled_reference) {
  const ModelTokenizer tokenizer = load_model_tokenizer("golden/lm/models/gemma/policy");
  const EncodedDataset data = golden_pairs(tokenizer, 2);
  run_ranks(2, [&](Collective& collective) {
    const Decoder policy = Decoder::load("golden/lm/models/gemma/policy", torch::kFloat64, torch::kCPU);
    const torch::Tensor first = policy.parameters().front().tensor;
    const torch::Tensor before = first.detach().clone();
    AnswerLogProbs reference = compute_log_probs(
        policy, {.pairs = data.pairs, .token_budget = 4096, .ranks = collective, .whose = "the reference"});
    reference.chosen_N[3] = spoiled_reference;
    GradientBuckets gradients(policy.parameters(), collective, 1 << 20);
    Optimizer optimizer({.learning_rate = 1e-3}, policy.parameters());
    ShardCursor cursor(
        {.shuffle = false, .num_pairs = 2 * kBatch, .global_batch_size = kBatch, .world_size = 2, .end_step = 2});
    ToldWeights weights;
    const LossConfig loss;
    RobustSettings robust = kGroupRobust;
    robust.update = update;
    StepParts parts{.inputs = {.decoder = policy, .loss = loss, .pairs = data.pairs, .reference = reference},
                    .robust = robust,
                    .group_pair_count_K = data.pair_count_K,
                    .micro_batch_tokens = 100,
                    .cursor = cursor,
                    .host = collective,
                    .gradients = gradients,
                    .optimizer = optimizer,
                    .weights = weights};
    const StepResult spoiled = train_step(parts, 0);
    EXPECT_TRUE(spoiled.skipped);
    EXPECT_TRUE(first.detach().equal(before));
    EXPECT_EQ(weights.non_finite, std::vector<std::uint32_t>{data.pairs[3].memberships.front().group});
    EXPECT_TRUE(std::ranges::all_of(weights.loss_sum, [](double sum) { return std::isfinite(sum); }));
    EXPECT_FALSE(train_step(parts, 1).skipped);
    EXPECT_TRUE(weights.non_finite.empty());
    EXPECT_FALSE(first.detach().equal(before)) << "nothing of the spoiled gradient may be left";
    EXPECT_TRUE(first.detach().isfinite().all().item<bool>());
  });
}

TEST(TrainStep, MakesNoUpdateWhenALossIsNotFinite) {
  for (const WeightUpdate update : {WeightUpdate::kBeforeGradient, WeightUpdate::kAfterGradient}) {
    expect_no_update(update, std::numeric_limits<double>::quiet_NaN());
  }
}

// A loss that is finite with a gradient that is not: the pair's weight overflows.
TEST(TrainStep, TellsTheOwnerOfAlphaOfAGradientThatIsNotFiniteWhereItIsKnownInTime) {
  const ModelTokenizer tokenizer = load_model_tokenizer("golden/lm/models/gemma/policy");
  const EncodedDataset data = golden_pairs(tokenizer, 1);
  for (const WeightUpdate update : {WeightUpdate::kBeforeGradient, WeightUpdate::kAfterGradient}) {
    run_ranks(1, [&](Collective& collective) {
      const Decoder policy = Decoder::load("golden/lm/models/gemma/policy", torch::kFloat32, torch::kCPU);
      const AnswerLogProbs reference = compute_log_probs(
          policy, {.pairs = data.pairs, .token_budget = 4096, .ranks = collective, .whose = "the reference"});
      GradientBuckets gradients(policy.parameters(), collective, 1 << 20);
      Optimizer optimizer({.learning_rate = 1e-3}, policy.parameters());
      ShardCursor cursor(
          {.shuffle = false, .num_pairs = kBatch, .global_batch_size = kBatch, .world_size = 1, .end_step = 1});
      ToldWeights weights;
      const LossConfig loss{.beta = 1e38};  // float32: the loss of equal log-probs is log 2, its slope beta / 2
      RobustSettings robust = kGroupRobust;
      robust.update = update;
      StepParts parts{.inputs = {.decoder = policy,
                                 .loss = loss,
                                 .pairs = data.pairs,
                                 .reference = reference,
                                 .policy_is_reference = true},
                      .robust = robust,
                      .group_pair_count_K = data.pair_count_K,
                      .micro_batch_tokens = 4096,
                      .cursor = cursor,
                      .host = collective,
                      .gradients = gradients,
                      .optimizer = optimizer,
                      .weights = weights};
      const StepResult result = train_step(parts, 0);
      ASSERT_TRUE(result.sums.non_finite_groups().empty());
      ASSERT_FALSE(std::isfinite(result.grad_norm));
      EXPECT_TRUE(result.skipped);
      const bool is_known = update == WeightUpdate::kAfterGradient;
      EXPECT_EQ(weights.non_finite, is_known ? result.sums.group_sums().group : std::vector<std::uint32_t>());
    });
  }
}

}  // namespace step_test
}  // namespace equipoise
