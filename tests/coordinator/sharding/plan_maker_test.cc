#include "coordinator/sharding/plan_maker.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace equipoise::coordinator {
namespace plan_maker_test {

std::int64_t steps(double epochs, std::int64_t num_pairs, std::int64_t batch) {
  TrainingConfig training;
  training.epochs = epochs;
  training.global_batch_size = batch;
  return planned_steps(training, {.num_pairs = num_pairs});
}

TEST(PlanMaker, OneEpochIsAllPairsWithASmallerLastBatch) {
  EXPECT_EQ(steps(1, 100, 64), 2);
  EXPECT_EQ(steps(1, 128, 64), 2);
  EXPECT_EQ(steps(1, 1, 64), 1);
}

TEST(PlanMaker, WholeEpochsAreWholeWhateverTheBatch) { EXPECT_EQ(steps(3, 100, 64), 3 * 2); }

TEST(PlanMaker, APartOfAnEpochIsRoundedUpToWholeBatches) {
  EXPECT_EQ(steps(0.5, 100, 10), 5);
  EXPECT_EQ(steps(0.51, 100, 10), 6);
  EXPECT_EQ(steps(1.5, 100, 64), 2 + 1);
  EXPECT_EQ(steps(0.0001, 100, 10), 1);
}

// 1.1 - 1 is 0.10000000000000009 in float64: its product with 10 is above 1.
TEST(PlanMaker, RoundingOfAProductAddsNoStep) { EXPECT_EQ(steps(1.1, 10, 1), 11); }

TEST(PlanMaker, MaxStepsWinsOverEpochs) {
  TrainingConfig training;
  training.epochs = 5;
  training.max_steps = 7;
  EXPECT_EQ(planned_steps(training, {.num_pairs = 1000}), 7);
}

TEST(PlanMaker, AFullBatchIsAllPairsWhateverTheBatchSize) {
  JobConfig job;
  job.training.full_batch = true;
  job.training.epochs = 3;
  const ShardPlan plan = make_shard_plan(job, {.num_pairs = 1000}, 2);
  EXPECT_EQ(plan.global_batch_size, 1000);
  EXPECT_EQ(plan.end_step, 3);
}

TEST(PlanMaker, AStratifiedJobHasAsManyStepsAsEverAndFullBatches) {
  JobConfig job;
  job.training.sampling = Sampling::kStratified;
  job.training.epochs = 2;
  const ShardPlan plan = make_shard_plan(job, {.num_pairs = 100}, 2);
  EXPECT_TRUE(plan.stratified);
  EXPECT_EQ(plan.end_step, 2 * 2);
  EXPECT_EQ(pairs_done(plan, 3), 3 * 64);
}

TEST(PlanMaker, MoreStepsThanCanBeCountedAreRefused) { EXPECT_THROW(steps(1e300, 100, 1), std::invalid_argument); }

TEST(PlanMaker, PairsDoneAgreeWithTheCursorsBatches) {
  const ShardPlan plan{.num_pairs = 10, .global_batch_size = 4, .world_size = 2, .end_step = 9};
  ShardCursor cursor(plan);
  std::int64_t pairs = 0;
  for (std::int64_t step = 0; step < plan.end_step; ++step) {
    EXPECT_EQ(pairs_done(plan, step), pairs) << step;
    pairs += static_cast<std::int64_t>(cursor.global_batch(step).size());
  }
  EXPECT_EQ(pairs_done(plan, plan.end_step), pairs);
}

TEST(PlanMaker, AMixtureOfFilesHasAsManyStepsAsEverAndFullBatches) {
  JobConfig job;
  job.data.train_files = {{.path = "a", .weight = 1}, {.path = "b", .weight = 3}};
  job.training.epochs = 2;
  job.training.sampling = Sampling::kPermutation;
  const ShardPlan plan = make_shard_plan(job, {.num_pairs = 100}, 2);
  EXPECT_TRUE(plan.mixed);
  EXPECT_FALSE(plan.stratified);
  EXPECT_EQ(plan.end_step, 2 * 2);
  EXPECT_EQ(pairs_done(plan, 3), 3 * 64);
  job.data.train_files = {{.path = "a"}, {.path = "b"}};
  EXPECT_FALSE(make_shard_plan(job, {.num_pairs = 100}, 2).mixed);
}

TEST(PlanMaker, AJobIsStratifiedWhereSamplingIsAutomaticAndABatchHasAPlaceForEveryGroup) {
  JobConfig job;
  job.training.global_batch_size = 4;
  EXPECT_TRUE(make_shard_plan(job, {.num_pairs = 100, .num_groups = 4}, 2).stratified);
  EXPECT_FALSE(make_shard_plan(job, {.num_pairs = 100, .num_groups = 5}, 2).stratified);
}

}  // namespace plan_maker_test
}  // namespace equipoise::coordinator
