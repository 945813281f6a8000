#include "common/dataset/shard_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace equipoise {
namespace shard_plan_test {

ShardPlan plan_of(std::int64_t num_pairs, std::int64_t global_batch_size, int world_size = 1) {
  ShardPlan plan;
  plan.seed = 7;
  plan.num_pairs = num_pairs;
  plan.global_batch_size = global_batch_size;
  plan.world_size = world_size;
  plan.end_step = 1000;
  return plan;
}

// 20 pairs of group 0 and 3 of group 1, which have one half of each batch.
ShardCursor stratified_cursor(std::int64_t global_batch_size, int world_size = 1) {
  ShardPlan plan = plan_of(23, global_batch_size, world_size);
  plan.stratified = true;
  Strata strata{.stratum_N = std::vector<std::uint32_t>(23), .share_K = {0.5, 0.5}};
  for (const std::size_t pair : {4, 11, 12}) strata.stratum_N[pair] = 1;
  return ShardCursor(plan, strata);
}

std::vector<std::int64_t> numbers_below(std::int64_t end) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(end));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

std::vector<std::int64_t> pairs_of_epoch(ShardCursor& cursor, std::int64_t first_step, std::int64_t steps) {
  std::vector<std::int64_t> pairs;
  for (std::int64_t step = first_step; step < first_step + steps; ++step) {
    const auto& batch = cursor.global_batch(step);
    pairs.insert(pairs.end(), batch.begin(), batch.end());
  }
  return pairs;
}

TEST(ShardPlan, UsesEveryPairOnceInEveryEpoch) {
  ShardCursor cursor(plan_of(23, 5));
  for (const std::int64_t epoch : {0, 1, 2}) {
    std::vector<std::int64_t> pairs = pairs_of_epoch(cursor, epoch * 5, 5);
    std::sort(pairs.begin(), pairs.end());
    EXPECT_EQ(pairs, numbers_below(23));
  }
}

TEST(ShardPlan, LastBatchOfAnEpochIsSmaller) {
  ShardCursor cursor(plan_of(23, 5));
  EXPECT_EQ(steps_per_epoch(23, 5), 5);
  EXPECT_EQ(cursor.global_batch(3).size(), 5u);
  EXPECT_EQ(cursor.global_batch(4).size(), 3u);
  EXPECT_EQ(cursor.global_batch(5).size(), 5u);
}

TEST(ShardPlan, BatchLargerThanTheDataIsTheData) {
  ShardCursor cursor(plan_of(3, 64));
  EXPECT_EQ(steps_per_epoch(3, 64), 1);
  EXPECT_EQ(cursor.global_batch(9).size(), 3u);
}

TEST(ShardPlan, EpochsAreShuffledDifferently) {
  const ShardPlan plan = plan_of(100, 10);
  EXPECT_NE(epoch_order(plan, 0), epoch_order(plan, 1));
  EXPECT_NE(epoch_order(plan, 0), numbers_below(100));
}

TEST(ShardPlan, SeedsGiveDifferentOrders) {
  ShardPlan other = plan_of(100, 10);
  other.seed = 8;
  EXPECT_NE(epoch_order(plan_of(100, 10), 0), epoch_order(other, 0));
  EXPECT_NE(epoch_order(plan_of(100, 10), 1), epoch_order(other, 0));
}

TEST(ShardPlan, WithoutShuffleFollowsTheFile) {
  ShardPlan plan = plan_of(10, 4);
  plan.shuffle = false;
  EXPECT_EQ(ShardCursor(plan).global_batch(4), (std::vector<std::int64_t>{4, 5, 6, 7}));
}

// Every place is equally likely to receive pair 0: 4000 epochs of 8 pairs, standard deviation sqrt(4000 * 7/64) = 21.
TEST(ShardPlan, ShuffleIsUniform) {
  std::vector<int> times_at(8);
  for (std::int64_t epoch = 0; epoch < 4000; ++epoch) {
    const auto order = epoch_order(plan_of(8, 4), epoch);
    ++times_at[static_cast<std::size_t>(std::find(order.begin(), order.end(), 0) - order.begin())];
  }
  for (const int times : times_at) EXPECT_NEAR(times, 500, 105);
}

class ShardPlanRanks : public testing::TestWithParam<int> {};

TEST_P(ShardPlanRanks, TogetherHaveTheGlobalBatchInOrder) {
  const int world_size = GetParam();
  ShardCursor cursor(plan_of(23, 5, world_size)), alone(plan_of(23, 5));
  for (std::int64_t step = 0; step < 10; ++step) {
    std::vector<std::int64_t> joined;
    for (int rank = 0; rank < world_size; ++rank) {
      const auto part = cursor.rank_batch(step, rank);
      joined.insert(joined.end(), part.begin(), part.end());
    }
    EXPECT_EQ(joined, alone.global_batch(step));
  }
}

TEST_P(ShardPlanRanks, TogetherHaveTheStratifiedBatchInOrder) {
  const int world_size = GetParam();
  ShardCursor cursor = stratified_cursor(5, world_size), alone = stratified_cursor(5, 1);
  for (std::int64_t step = 0; step < 20; ++step) {
    std::vector<std::int64_t> joined;
    for (int rank = 0; rank < world_size; ++rank) {
      for (const std::int64_t pair : cursor.rank_batch(step, rank)) {
        joined.push_back(pair);
        EXPECT_EQ(cursor.pair_weight(step, pair), alone.pair_weight(step, pair));
      }
    }
    EXPECT_EQ(joined, alone.global_batch(step));
  }
}

TEST_P(ShardPlanRanks, HaveShareSizesThatDifferByAtMostOne) {
  const int world_size = GetParam();
  ShardCursor cursor(plan_of(23, 5, world_size));
  std::vector<std::size_t> sizes;
  for (int rank = 0; rank < world_size; ++rank) sizes.push_back(cursor.rank_batch(4, rank).size());
  const auto [least, most] = std::minmax_element(sizes.begin(), sizes.end());
  EXPECT_LE(*most - *least, 1u);
}

INSTANTIATE_TEST_SUITE_P(Worlds, ShardPlanRanks, testing::Values(1, 2, 4, 7));  // 7 ranks: some have no pair

TEST(ShardPlan, MayBeWalkedInAnyOrder) {
  ShardCursor forward(plan_of(23, 5)), jumping(plan_of(23, 5));
  const std::vector<std::int64_t> late = jumping.global_batch(7);
  jumping.global_batch(1);
  for (std::int64_t step = 0; step < 7; ++step) forward.global_batch(step);
  EXPECT_EQ(forward.global_batch(7), late);
}

TEST(ShardPlan, CountsEpochsByPairs) {
  const ShardCursor cursor(plan_of(23, 5));
  EXPECT_EQ(cursor.epochs_done(0), 0);
  EXPECT_DOUBLE_EQ(cursor.epochs_done(2), 10 / 23.0);
  EXPECT_EQ(cursor.epochs_done(5), 1);
  EXPECT_DOUBLE_EQ(cursor.epochs_done(11), 2 + 5 / 23.0);
}

TEST(ShardPlan, PairsWeighOneUnlessStratified) {
  ShardCursor permuted(plan_of(23, 5)), stratified = stratified_cursor(4);
  EXPECT_EQ(permuted.pair_weight(3, permuted.global_batch(3)[0]), 1);
  // (N_h / N) / (B_h / B)
  EXPECT_DOUBLE_EQ(stratified.pair_weight(3, 11), (3. / 23) / (2. / 4));
  EXPECT_DOUBLE_EQ(stratified.group_weight(3, 0), (20. / 23) / (2. / 4));
}

TEST(ShardPlan, StratifiedBatchesAreFullAndAnEpochHasAsManyStepsAsEver) {
  ShardCursor cursor = stratified_cursor(4);
  for (std::int64_t step = 0; step < 20; ++step) EXPECT_EQ(cursor.global_batch(step).size(), 4u);
  EXPECT_EQ(cursor.epochs_done(6), 1);
  EXPECT_EQ(cursor.epochs_done(9), 1.5);
  EXPECT_EQ(stratified_cursor(64).global_batch(0).size(), 64u);  // of 23 pairs: some several times
}

TEST(ShardPlan, MoreStratifiedPairsThanCanBeCountedAreRefused) {
  ShardPlan plan = plan_of(2, std::int64_t{1} << 31);
  plan.stratified = true;
  EXPECT_THROW(ShardCursor(plan, Strata{.stratum_N = {0, 0}, .share_K = {1}}), std::invalid_argument);
  plan.global_batch_size = std::int64_t{1} << 30;
  plan.end_step = std::int64_t{1} << 34;
  EXPECT_THROW(ShardCursor(plan, Strata{.stratum_N = {0, 0}, .share_K = {1}}), std::invalid_argument);
}

TEST(ShardPlan, RefusesNumbersOutOfRange) {
  EXPECT_THROW(ShardCursor(plan_of(0, 5)), std::invalid_argument);
  EXPECT_THROW(ShardCursor(plan_of(5, 0)), std::invalid_argument);
  EXPECT_THROW(ShardCursor(plan_of(5, 5, 0)), std::invalid_argument);
  EXPECT_THROW(steps_per_epoch(5, -1), std::invalid_argument);
  ShardPlan backwards = plan_of(5, 5);
  backwards.first_step = 2000;
  EXPECT_THROW(ShardCursor{backwards}, std::invalid_argument);
  ShardCursor cursor(plan_of(5, 5));
  EXPECT_THROW(cursor.global_batch(-1), std::invalid_argument);
  EXPECT_THROW(cursor.rank_batch(0, 1), std::invalid_argument);
}

}  // namespace shard_plan_test
}  // namespace equipoise
