// What a step asks of the device, whose every copy to or from the host it waits for.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/worker/language_model/small_training.h"
#include "tests/worker/support/golden_model.h"
#include "tests/worker/support/operator_counts.h"
#include "worker/collective/cpu_collective.h"
#include "worker/data/prompt_trees.h"
#include "worker/language_model/evaluation.h"

namespace equipoise {
namespace step_cost_test {

struct StepCost {
  std::int64_t passes, token_lists, floats_to_host, floats_to_device, kernels, copies;
};

OperatorCounts counts_of(SmallTraining training, std::int64_t steps) {
  training.steps = steps;
  const OperatorCounter counter;
  train(training);
  return counter.counts();
}

// Of one step of 16 pairs in float32: what a training of three has more than one of two, which are alike before.
StepCost cost_of_step(std::int64_t micro_batch_pairs, WeightUpdate update = WeightUpdate::kBeforeGradient) {
  const SmallTraining training{.dtype = torch::kFloat32, .micro_batch_pairs = micro_batch_pairs, .update = update};
  const OperatorCounts two = counts_of(training, 2), three = counts_of(training, 3);
  const StepCost cost{
      .passes = std::ssize(three.token_lists) - std::ssize(two.token_lists),
      .token_lists = three.different_token_lists() - two.different_token_lists(),
      .floats_to_host = three.floats_to_host - two.floats_to_host,
      .floats_to_device = three.floats_to_device - two.floats_to_device,
      .kernels = three.kernels - two.kernels,
      .copies = three.copies - two.copies,
  };
  std::printf(
      "%lld micro-batches: %lld passes over %lld packed batches, %lld kernels, %lld of them copies, %lld to the "
      "host, %lld numbers of pairs to the device\n",
      16LL / micro_batch_pairs, static_cast<long long>(cost.passes), static_cast<long long>(cost.token_lists),
      static_cast<long long>(cost.kernels), static_cast<long long>(cost.copies),
      static_cast<long long>(cost.floats_to_host), static_cast<long long>(cost.floats_to_device));
  return cost;
}

// Each of several is computed once for its losses and once for its gradient.
TEST(TrainStep, PacksEachMicroBatchOnce) {
  const StepCost four = cost_of_step(4), eight = cost_of_step(2), one = cost_of_step(16);
  EXPECT_EQ(four.passes, 8);
  EXPECT_EQ(four.token_lists, 4);
  EXPECT_EQ(eight.passes, 16);
  EXPECT_EQ(eight.token_lists, 8);
  EXPECT_EQ(one.passes, 1);
  EXPECT_EQ(one.token_lists, 1);
}

// Weights that do not wait for the losses leave one pass.
TEST(TrainStep, ComputesEachMicroBatchOnceAfterGradient) {
  for (const std::int64_t micro_batches : {1, 4, 8}) {
    const StepCost cost = cost_of_step(16 / micro_batches, WeightUpdate::kAfterGradient);
    EXPECT_EQ(cost.passes, micro_batches);
    EXPECT_EQ(cost.token_lists, micro_batches);
    EXPECT_EQ(cost.floats_to_host, micro_batches);
  }
}

// The coefficients of all pairs are one copy more.
TEST(TrainStep, CopiesOnceFromAndOnceToTheDeviceForEachMicroBatch) {
  for (const std::int64_t micro_batches : {1, 4, 8}) {
    const StepCost cost = cost_of_step(16 / micro_batches);
    EXPECT_EQ(cost.floats_to_host, micro_batches);
    EXPECT_EQ(cost.floats_to_device, micro_batches + 1);
  }
}

// With what the answers' tokens show, too.
TEST(EvaluateFiles, CopiesToTheHostOnceForEachMicroBatch) {
  const EncodedPairs unweighted = golden_pairs();
  std::vector<OwnedPair> owned_pairs = owned(unweighted);
  for (OwnedPair& pair : owned_pairs) pair.memberships = {{.group = 0, .weight = 1}};
  const EncodedPairs pairs = encoded(owned_pairs);
  const Decoder policy = golden_decoder(kPolicy);
  LossConfig loss;
  loss.reference_free = true;
  loss.sft_weight = 0.5;
  const ForwardInputs inputs{.decoder = policy, .loss = loss, .pairs = pairs, .reference = {}};
  constexpr std::int64_t kBudget = 200;
  const auto micro_batches = split_micro_batches(pairs, by_prompt(pairs, all_of(pairs)), kBudget);
  ASSERT_GT(micro_batches.size(), 4u);
  const OperatorCounter counter;
  run_ranks(1, [&](Collective& collective) { evaluate_files(inputs, 1, kBudget, {}, collective); });
  EXPECT_EQ(counter.counts().floats_to_host, std::ssize(micro_batches));
  EXPECT_EQ(std::ssize(counter.counts().token_lists), std::ssize(micro_batches));
}

}  // namespace step_cost_test
}  // namespace equipoise
