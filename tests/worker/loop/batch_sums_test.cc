#include "worker/train/batch_sums.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "worker/collective/thread_collective.h"

namespace equipoise {
namespace {

PairOutcome outcome(double loss, double chosen_reward, double rejected_reward) {
  return {.loss = loss, .chosen_reward = chosen_reward, .rejected_reward = rejected_reward};
}

TEST(BatchSums, WeighsPairsByTheirMemberships) {
  BatchSums sums(3);
  sums.add(outcome(2.0, 1, 0), std::vector<Membership>{{0, 1.0}, {2, 0.5}});
  sums.add(outcome(4.0, 0, 1), std::vector<Membership>{{2, 1.0}});
  EXPECT_EQ(sums.group_loss(0), 2.0);
  EXPECT_EQ(sums.group_loss(2), (0.5 * 2 + 4) / 1.5);
  EXPECT_EQ(sums.group_accuracy(2), 0.5 / 1.5);
  EXPECT_EQ(sums.loss(), 3.0);
  EXPECT_EQ(sums.accuracy(), 0.5);
}

// Stratified batches: sums and means are of the data, numbers of pairs of the batch.
TEST(BatchSums, WeighsPairsByTheirOwnWeightAsWell) {
  BatchSums sums(2);
  sums.add(outcome(2.0, 1, 0), std::vector<Membership>{{0, 1.0}, {1, 0.5}}, 1.5);
  sums.add(outcome(4.0, 0, 1), std::vector<Membership>{{1, 1.0}}, 0.25);
  const GroupSums reported = sums.group_sums();
  EXPECT_EQ(reported.loss_sum, (std::vector<double>{3, 0.5 * 3 + 1}));
  EXPECT_EQ(reported.pair_count, (std::vector<double>{1.5, 0.5 * 1.5 + 0.25}));
  EXPECT_EQ(reported.batch_pairs, 2);
  EXPECT_EQ(sums.group_loss(1), 2.5 / 1);
  EXPECT_EQ(sums.group_accuracy(1), 0.75 / 1);
  EXPECT_EQ(sums.group_pairs(1), 1.5);
  EXPECT_EQ(sums.loss(), (3 + 1) / 2.0);
  EXPECT_EQ(sums.accuracy(), 1.5 / 1.75);
}

TEST(BatchSums, LeavesAbsentGroupsOutOfTheReport) {
  BatchSums sums(3);
  sums.add(outcome(2.0, 0, 0), std::vector<Membership>{{1, 1.0}});
  const GroupSums reported = sums.group_sums();
  EXPECT_EQ(reported.group, std::vector<std::uint32_t>{1});
  EXPECT_EQ(reported.loss_sum, std::vector<double>{2.0});
  EXPECT_EQ(reported.batch_pairs, 1);
  EXPECT_TRUE(std::isnan(sums.group_loss(0)));
}

TEST(BatchSums, CountsEqualRewardsAsWrong) {
  BatchSums sums(1);
  sums.add(outcome(0.7, 0.25, 0.25), std::vector<Membership>{{0, 1.0}});
  EXPECT_EQ(sums.accuracy(), 0);
}

TEST(BatchSums, NamesGroupsWhoseLossIsNotFinite) {
  BatchSums sums(3);
  sums.add(outcome(std::numeric_limits<double>::infinity(), 0, 0), std::vector<Membership>{{2, 1.0}});
  sums.add(outcome(1, 0, 0), std::vector<Membership>{{0, 1.0}});
  EXPECT_EQ(sums.non_finite_groups(), std::vector<std::uint32_t>{2});
}

TEST(BatchSums, AddsUpOverRanksWithOneOfThemEmpty) {
  for (const int world_size : {1, 2, 4, 7}) {
    run_ranks(world_size, [&](Collective& collective) {
      BatchSums sums(2);
      const int rank = collective.info().rank;
      if (rank != world_size - 1 || world_size == 1)
        sums.add(outcome(rank + 1, 1, 0), std::vector<Membership>{{1, 1.0}});
      sums.all_reduce(collective);
      const int pairs = std::max(1, world_size - 1);
      EXPECT_EQ(sums.pairs(), pairs);
      EXPECT_EQ(sums.group_loss(1), (pairs + 1) / 2.0);
    });
  }
}

}  // namespace
}  // namespace equipoise
