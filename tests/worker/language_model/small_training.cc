#include "tests/worker/language_model/small_training.h"

#include <stdexcept>

#include "tests/worker/support/owned_pair.h"
#include "worker/collective/cpu_collective.h"
#include "worker/language_model/step.h"

namespace equipoise {
namespace {

constexpr char kPolicyFolder[] = "golden/lm/models/gemma/policy";
constexpr char kReferenceFolder[] = "golden/lm/models/gemma/reference";
constexpr std::int64_t kBatch = 16, kBatches = 4, kGroups = 4, kTokens = 14;

std::vector<std::int32_t> random_ids(torch::Generator& generator, std::int64_t count) {
  const torch::Tensor ids = torch::randint(3, 1024, {count}, generator, torch::kInt32);
  return {ids.data_ptr<std::int32_t>(), ids.data_ptr<std::int32_t>() + count};
}

// All of kTokens tokens, so that a budget of tokens is one of pairs where they share nothing; group i mod 4.
EncodedPairs random_pairs(std::int64_t count, std::int64_t prompts) {
  torch::Generator generator = at::detail::createCPUGenerator(7);
  std::vector<OwnedPair> pairs;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto prompt = random_ids(generator, 6);
    pairs.push_back({.prompt_ids = i < prompts ? prompt : pairs[static_cast<std::size_t>(i % prompts)].prompt_ids,
                     .chosen_ids = random_ids(generator, 4),
                     .rejected_ids = random_ids(generator, 4),
                     .memberships = {{.group = static_cast<std::uint32_t>(i % kGroups), .weight = 1}}});
  }
  return encoded(pairs);
}

// The division that a test asks for is the one it gets.
void check_micro_batches(const SmallTraining& training, const EncodedPairs& pairs, ShardCursor& cursor) {
  if (training.prompts < kBatch * kBatches) return;
  const auto mine = cursor.rank_batch(0, 0);
  const auto parts = split_micro_batches(pairs, mine, training.micro_batch_pairs * kTokens);
  const auto wanted = static_cast<std::size_t>(kBatch / training.world_size / training.micro_batch_pairs);
  if (parts.size() != wanted) throw std::logic_error(std::to_string(parts.size()) + " micro-batches on a rank");
}

}  // namespace

SmallResult train(const SmallTraining& training) {
  const EncodedPairs pairs = random_pairs(kBatch * kBatches, training.prompts);
  SmallResult result;
  run_ranks(training.world_size, [&](Collective& collective) {
    Decoder policy = Decoder::load(kPolicyFolder, training.dtype, torch::kCPU);
    if (training.lora) policy.attach(new_adapter(policy.config(), *training.lora, 3, training.dtype, torch::kCPU));
    if (training.recomputes_layers) policy.recompute_layers();
    const Decoder start = Decoder::load(kReferenceFolder, training.dtype, torch::kCPU);
    const AnswerLogProbs reference =
        compute_log_probs(start, {.pairs = pairs, .token_budget = 4096, .ranks = collective, .whose = "the reference"});
    GradientBuckets gradients(policy.trained(), collective, 64 << 10);
    Optimizer optimizer(training.optimizer, policy.trained(), training.steps);
    ShardCursor cursor({.shuffle = false,
                        .num_pairs = kBatch * kBatches,
                        .global_batch_size = kBatch,
                        .world_size = training.world_size,
                        .end_step = training.steps});
    check_micro_batches(training, pairs, cursor);
    RobustSettings robust;
    robust.mode = RobustMode::kGroupRobust;
    robust.step_size = 0.1;
    robust.update = training.update;
    const std::vector<double> pair_count_K(kGroups, static_cast<double>(pairs.size()) / kGroups);
    OwnStepWeights weights(GroupWeights(robust, pair_count_K, static_cast<double>(pairs.size())));
    const LossConfig loss;
    StepParts parts{.inputs = {.decoder = policy, .loss = loss, .pairs = pairs, .reference = reference},
                    .robust = robust,
                    .group_pair_count_K = pair_count_K,
                    .micro_batch_tokens = training.micro_batch_pairs * kTokens,
                    .cursor = cursor,
                    .host = collective,
                    .gradients = gradients,
                    .optimizer = optimizer,
                    .weights = weights};
    if (training.lora && training.lora->dropout > 0) parts.dropout_seed = 5;
    const bool is_first = collective.info().rank == 0;
    for (std::int64_t step = 0; step < training.steps; ++step) {
      const double step_loss = train_step(parts, step).loss;
      if (is_first) result.loss.push_back(step_loss);
    }
    if (!is_first) return;
    for (const auto& [name, tensor] : policy.trained()) result.parameters[name] = tensor.detach().clone();
    for (const auto& [name, tensor] : optimizer.state().tensors) result.state[name] = tensor.clone();
  });
  return result;
}

double largest_distance(const SmallResult& a, const SmallResult& b) {
  double largest = 0;
  for (const auto& [name, tensor] : a.parameters) {
    largest = std::max(largest, (tensor - b.parameters.at(name)).abs().max().item<double>());
  }
  return largest;
}

}  // namespace equipoise
