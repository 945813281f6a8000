// One batch of 16 pairs is the same step however it is divided.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/worker/language_model/small_training.h"

namespace equipoise {
namespace accumulation_test {

struct Rule {
  const char* name;
  OptimizerConfig config;
};

const std::vector<Rule> kRules = {
    {"adamw", {.type = OptimizerType::kAdamW, .learning_rate = 1e-3, .weight_decay = 0.01}},
    {"sgd", {.type = OptimizerType::kSgd, .learning_rate = 1e-2}},
    {"rmsprop", {.type = OptimizerType::kRmsProp, .learning_rate = 1e-3}},
    {"muon", {.type = OptimizerType::kMuon, .learning_rate = 1e-3, .momentum = 0.95, .adamw_learning_rate = 1e-3}}};

// Float64: differences are those of summation order, 1e-16 of a gradient, that an optimiser may make larger (a gradient
// near 0 becomes a whole step). The job's promise is 1e-6.
TEST(Accumulation, OneTimes16IsFourTimesFourIsFourRanksTimesFour) {
  for (const Rule& rule : kRules) {
    const SmallResult whole = train({.optimizer = rule.config, .micro_batch_pairs = 16});
    const SmallResult split = train({.optimizer = rule.config, .micro_batch_pairs = 4});
    const SmallResult ranks = train({.optimizer = rule.config, .world_size = 4, .micro_batch_pairs = 4});
    const SmallResult both = train({.optimizer = rule.config, .world_size = 2, .micro_batch_pairs = 2});
    EXPECT_LT(largest_distance(whole, split), 1e-8) << rule.name;
    EXPECT_LT(largest_distance(whole, ranks), 1e-8) << rule.name;
    EXPECT_LT(largest_distance(whole, both), 1e-8) << rule.name;
  }
}

// Each micro-batch's gradient is taken before the losses of the others are known.
TEST(Accumulation, IsTheSameStepWithTheWeightsOfTheStepBefore) {
  const OptimizerConfig& adamw = kRules[0].config;
  constexpr WeightUpdate kAfter = WeightUpdate::kAfterGradient;
  const SmallResult before = train({.optimizer = adamw, .micro_batch_pairs = 16});
  const SmallResult whole = train({.optimizer = adamw, .micro_batch_pairs = 16, .update = kAfter});
  const SmallResult split = train({.optimizer = adamw, .micro_batch_pairs = 4, .update = kAfter});
  // Of three ranks with six, five and five pairs; of 20, of which four have none.
  const SmallResult three =
      train({.optimizer = adamw, .world_size = 3, .micro_batch_pairs = 1, .prompts = 5, .update = kAfter});
  const SmallResult many =
      train({.optimizer = adamw, .world_size = 20, .micro_batch_pairs = 1, .prompts = 5, .update = kAfter});
  const SmallResult one = train({.optimizer = adamw, .micro_batch_pairs = 16, .prompts = 5, .update = kAfter});
  EXPECT_LT(largest_distance(whole, split), 1e-8);
  EXPECT_LT(largest_distance(one, three), 1e-8);
  EXPECT_LT(largest_distance(one, many), 1e-8);
  EXPECT_GT(largest_distance(whole, before), 1e-6) << "weights of another step";
}

// Five prompts in each batch: what shares one comes together, on other ranks and in other micro-batches each time.
TEST(Accumulation, IsTheSameStepWherePairsSharePrompts) {
  const OptimizerConfig& adamw = kRules[0].config;
  const SmallResult whole = train({.optimizer = adamw, .micro_batch_pairs = 16, .prompts = 5});
  const SmallResult split = train({.optimizer = adamw, .micro_batch_pairs = 2, .prompts = 5});
  const SmallResult ranks = train({.optimizer = adamw, .world_size = 4, .micro_batch_pairs = 4, .prompts = 5});
  const SmallResult both = train({.optimizer = adamw, .world_size = 3, .micro_batch_pairs = 1, .prompts = 5});
  for (const SmallResult* divided : {&split, &ranks, &both}) EXPECT_LT(largest_distance(whole, *divided), 1e-8);
}

TEST(Accumulation, LossesAreTheSameInFloat32) {
  for (const Rule& rule : kRules) {
    const SmallResult whole = train({.optimizer = rule.config, .dtype = torch::kFloat32, .micro_batch_pairs = 16});
    const SmallResult split = train({.optimizer = rule.config, .dtype = torch::kFloat32, .micro_batch_pairs = 4});
    const SmallResult ranks =
        train({.optimizer = rule.config, .dtype = torch::kFloat32, .world_size = 4, .micro_batch_pairs = 4});
    for (std::size_t t = 0; t < whole.loss.size(); ++t) {
      EXPECT_NEAR(split.loss[t], whole.loss[t], 1e-6) << rule.name << " step " << t;
      EXPECT_NEAR(ranks.loss[t], whole.loss[t], 1e-6) << rule.name << " step " << t;
    }
  }
}

TEST(Accumulation, DropsTheSameInputsHoweverTheBatchIsDivided) {
  for (const bool dora : {false, true}) {
    const OptimizerConfig config{.learning_rate = 1e-2};
    const LoraSettings lora{.r = 4, .alpha = 16, .dropout = 0.2, .dora = dora};
    const SmallResult whole = train({.optimizer = config, .micro_batch_pairs = 16, .lora = lora});
    const SmallResult split = train({.optimizer = config, .micro_batch_pairs = 4, .lora = lora});
    const SmallResult ranks = train({.optimizer = config, .world_size = 4, .micro_batch_pairs = 4, .lora = lora});
    const SmallResult again =
        train({.optimizer = config, .world_size = 2, .micro_batch_pairs = 2, .recomputes_layers = true, .lora = lora});
    EXPECT_LT(largest_distance(whole, split), 1e-6) << dora;
    EXPECT_LT(largest_distance(whole, ranks), 1e-6) << dora;
    EXPECT_LT(largest_distance(whole, again), 1e-6) << dora;
    const SmallResult kept =
        train({.optimizer = config, .micro_batch_pairs = 16, .lora = LoraSettings{.r = 4, .alpha = 16, .dora = dora}});
    EXPECT_GT(largest_distance(whole, kept), 1e-3) << dora;
  }
}

TEST(Accumulation, LayersThatAreComputedAgainGiveTheSameBits) {
  for (const std::int64_t pairs : {16, 4}) {
    const SmallResult kept = train({.optimizer = kRules[0].config, .micro_batch_pairs = pairs});
    const SmallResult again =
        train({.optimizer = kRules[0].config, .micro_batch_pairs = pairs, .recomputes_layers = true});
    EXPECT_EQ(kept.loss, again.loss);
    EXPECT_EQ(largest_distance(kept, again), 0);
  }
  const SmallResult kept = train({.optimizer = kRules[0].config, .world_size = 4, .micro_batch_pairs = 4});
  const SmallResult again =
      train({.optimizer = kRules[0].config, .world_size = 4, .micro_batch_pairs = 4, .recomputes_layers = true});
  EXPECT_EQ(largest_distance(kept, again), 0);
}

}  // namespace accumulation_test
}  // namespace equipoise
