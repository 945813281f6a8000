#include "worker/language_model/batch_sums.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "worker/collective/cpu_collective.h"

namespace equipoise {
namespace batch_sums_test {

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

// Pair i of 9: weights, memberships in 3 groups, and an answer of 1 to 4 tokens.
struct DrawnPair {
  PairOutcome outcome;
  std::vector<Membership> memberships;
  double weight;
};
DrawnPair drawn_pair(int i) {
  DrawnPair pair{.outcome = {.loss = 1 + std::sin(i),
                             .chosen_reward = std::cos(2.0 * i),
                             .rejected_reward = std::cos(3.0 * i),
                             .chosen_logp = -1000 - 1e-5 * i,
                             .rejected_logp = -900 + std::sin(5.0 * i),
                             .sequence_tokens = 10,
                             .answers = TokenSums{.chosen_tokens = 1.0 + i % 4,
                                                  .rejected_tokens = 1.0 + i % 3,
                                                  .entropy = 2 + std::sin(7.0 * i),
                                                  .chosen_logits = std::cos(i),
                                                  .rejected_logits = std::sin(i),
                                                  .chosen_first = static_cast<double>(i % 2)}},
                 .memberships = {{.group = static_cast<std::uint32_t>(i % 2), .weight = i % 3 == 0 ? 0.5 : 1.0}},
                 .weight = i % 2 == 0 ? 1.25 : 0.75};
  if (i == 4) pair.memberships.push_back({.group = 2, .weight = 0.5});
  return pair;
}

BatchSums measured(Collective& collective) {
  BatchSums sums(3);
  for (int i = collective.info().rank; i < 9; i += collective.info().world_size) {
    const DrawnPair pair = drawn_pair(i);
    sums.add(pair.outcome, pair.memberships, pair.weight);
  }
  sums.all_reduce(collective);
  sums.reduce_errors(collective);
  return sums;
}

template <class Value, class Weight>
MeanWithError direct(const Value& value, const Weight& weight) {
  std::vector<double> value_N, weight_N;
  for (int i = 0; i < 9; ++i) {
    value_N.push_back(value(drawn_pair(i)));
    weight_N.push_back(weight(drawn_pair(i)));
  }
  return *weighted_mean(value_N, weight_N);
}

double membership(const DrawnPair& pair, std::uint32_t group) {
  for (const Membership& membership : pair.memberships) {
    if (membership.group == group) return pair.weight * membership.weight;
  }
  return 0;
}

TEST(BatchSums, HasTheErrorsOfADirectFormulaOnAnyNumberOfRanks) {
  const auto weight = [](const DrawnPair& pair) { return pair.weight; };
  const auto logp = direct([](const DrawnPair& pair) { return pair.outcome.chosen_logp; }, weight);
  const auto margin =
      direct([](const DrawnPair& pair) { return pair.outcome.chosen_reward - pair.outcome.rejected_reward; }, weight);
  const auto loss = direct([](const DrawnPair& pair) { return pair.weight * pair.outcome.loss; },
                           [](const DrawnPair&) { return 1.0; });
  const auto of_group = direct([](const DrawnPair& pair) { return pair.outcome.loss; },
                               [](const DrawnPair& pair) { return membership(pair, 1); });
  for (const int world_size : {1, 2, 4, 11}) {  // of 11 ranks two are empty
    run_ranks(world_size, [&](Collective& collective) {
      const BatchSums sums = measured(collective);
      EXPECT_NEAR(sums.mean(Measure::kChosenLogp), logp.mean, 1e-12 * 1000);
      // float64 holds -1000 to 1e-13, which is 1e-8 of the distances; squares of the values would leave nothing of
      // them.
      EXPECT_NEAR(*sums.error(Measure::kChosenLogp), *logp.error, 1e-7 * *logp.error);
      EXPECT_NEAR(*sums.error(Measure::kMargin), *margin.error, 1e-12);
      EXPECT_NEAR(sums.loss(), loss.mean, 1e-12);
      EXPECT_NEAR(*sums.error(Measure::kLoss), *loss.error, 1e-12);
      EXPECT_NEAR(sums.group_loss(1), of_group.mean, 1e-12);
      EXPECT_NEAR(*sums.group_error(Measure::kLoss, 1), *of_group.error, 1e-12);
      EXPECT_FALSE(sums.group_error(Measure::kLoss, 2).has_value()) << "a single pair";
      EXPECT_NEAR(sums.independent_pairs(2), 1, 1e-12);
    });
  }
}

TEST(BatchSums, MeansOverTokensWeighPairsByTheirTokens) {
  const auto tokens = [](const DrawnPair& pair) { return pair.weight * pair.outcome.answers->chosen_tokens; };
  const auto first = direct(
      [](const DrawnPair& pair) { return pair.outcome.answers->chosen_first / pair.outcome.answers->chosen_tokens; },
      tokens);
  const auto entropy = direct(
      [](const DrawnPair& pair) {
        const TokenSums& sums = *pair.outcome.answers;
        return sums.entropy / (sums.chosen_tokens + sums.rejected_tokens);
      },
      [](const DrawnPair& pair) {
        return pair.weight * (pair.outcome.answers->chosen_tokens + pair.outcome.answers->rejected_tokens);
      });
  run_ranks(2, [&](Collective& collective) {
    const BatchSums sums = measured(collective);
    EXPECT_NEAR(sums.mean(Measure::kTokenAccuracy), first.mean, 1e-12);
    EXPECT_NEAR(*sums.error(Measure::kTokenAccuracy), *first.error, 1e-12);
    EXPECT_NEAR(sums.mean(Measure::kEntropy), entropy.mean, 1e-12);
    EXPECT_NEAR(*sums.error(Measure::kEntropy), *entropy.error, 1e-12);
    EXPECT_EQ(sums.sequence_tokens(), 90);
  });
}

TEST(BatchSums, HasNoMeanOverTokensThatNobodyLookedAt) {
  BatchSums sums(1);
  sums.add(outcome(1, 1, 0), std::vector<Membership>{{0, 1.0}});
  EXPECT_FALSE(sums.has(Measure::kEntropy));
  EXPECT_TRUE(sums.has(Measure::kMargin));
  EXPECT_FALSE(sums.error(Measure::kMargin).has_value()) << "nothing has been settled";
}

}  // namespace batch_sums_test
}  // namespace equipoise
