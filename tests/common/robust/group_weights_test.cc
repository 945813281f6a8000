#include "common/robust/group_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/robust/ambiguity_sets.h"

namespace equipoise {
namespace group_weights_test {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1e-14;  // a few operations in float64 on numbers up to 1

RobustSettings robust_settings(double step_size = 0.5) {
  RobustSettings settings;
  settings.mode = RobustMode::kGroupRobust;
  settings.estimator = Estimator::kBatchMean;
  settings.step_size = step_size;
  return settings;
}

GroupSums sums_of(std::vector<std::uint32_t> group, std::vector<double> loss_sum, std::vector<double> pair_count,
                  double batch_pairs) {
  return {std::move(group), std::move(loss_sum), std::move(pair_count), batch_pairs};
}

double total(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

TEST(GroupWeights, StartUniform) {
  const std::vector<double> alpha_K = GroupWeights(robust_settings(), {5, 1, 1, 1}, 8).alpha_K();
  for (const double alpha : alpha_K) EXPECT_NEAR(alpha, 0.25, kRounding);
}

TEST(GroupWeights, MultiplyByTheExponentOfStepSizeTimesLoss) {
  GroupWeights weights(robust_settings(0.5), {4, 4}, 8);
  weights.step(sums_of({0, 1}, {2 * 0.7, 3 * 0.4}, {2, 3}, 5));
  EXPECT_NEAR(weights.alpha_K()[0], std::exp(0.5 * 0.7) / (std::exp(0.5 * 0.7) + std::exp(0.5 * 0.4)), kRounding);
}

TEST(GroupWeights, StayOnTheSimplex) {
  GroupWeights weights(robust_settings(3), {7, 5, 3, 1}, 16);
  for (int step = 0; step < 200; ++step) {
    weights.step(sums_of({0, 2, 3}, {0.1 * step, 2, std::sin(step)}, {3, 2, 1}, 6));
    EXPECT_NEAR(total(weights.alpha_K()), 1, 1e-12);
  }
}

TEST(GroupWeights, FollowAPermutationOfTheGroups) {
  GroupWeights weights(robust_settings(), {4, 2, 1}, 7);
  GroupWeights permuted(robust_settings(), {1, 4, 2}, 7);
  weights.step(sums_of({0, 1, 2}, {1.0, 0.3, 0.9}, {2, 1, 1}, 4));
  permuted.step(sums_of({0, 1, 2}, {0.9, 1.0, 0.3}, {1, 2, 1}, 4));
  const std::vector<double> alpha_K = weights.alpha_K(), permuted_K = permuted.alpha_K();
  EXPECT_NEAR(permuted_K[0], alpha_K[2], kRounding);
  EXPECT_NEAR(permuted_K[1], alpha_K[0], kRounding);
  EXPECT_NEAR(permuted_K[2], alpha_K[1], kRounding);
}

TEST(GroupWeights, IgnoreAConstantAddedToEveryLoss) {
  GroupWeights weights(robust_settings(), {4, 4}, 8), shifted(robust_settings(), {4, 4}, 8);
  weights.step(sums_of({0, 1}, {2 * 0.7, 2 * 0.2}, {2, 2}, 4));
  shifted.step(sums_of({0, 1}, {2 * 100.7, 2 * 100.2}, {2, 2}, 4));
  EXPECT_NEAR(weights.alpha_K()[0], shifted.alpha_K()[0], 1e-12);  // 100.7 - 100.2 loses two digits
}

TEST(GroupWeights, KeepTheRatioOfGroupsThatAreAbsent) {
  GroupWeights weights(robust_settings(), {4, 4, 4}, 12);
  weights.step(sums_of({0, 1, 2}, {1, 2, 3}, {1, 1, 1}, 3));
  const double ratio = weights.alpha_K()[1] / weights.alpha_K()[0];
  weights.step(sums_of({2}, {5}, {1}, 1));
  EXPECT_NEAR(weights.alpha_K()[1] / weights.alpha_K()[0], ratio, 1e-13);
  EXPECT_LT(weights.alpha_K()[0], 0.2);
}

TEST(GroupWeights, StayFiniteForHugeLosses) {
  GroupWeights weights(robust_settings(1e10), {1, 1, 1}, 3);
  for (int step = 0; step < 10; ++step) weights.step(sums_of({0, 1}, {1e300, -1e300}, {1e-5, 1e-5}, 1));
  for (const double log_alpha : weights.log_alpha_K()) {
    EXPECT_TRUE(std::isfinite(log_alpha));
    EXPECT_GE(log_alpha, kLowestLogWeight);  // however many such steps follow
  }
  EXPECT_NEAR(weights.alpha_K()[0], 1, kRounding);
  EXPECT_EQ(weights.alpha_K()[1], 0);
}

TEST(GroupWeights, GrowBackFromAlmostNothing) {
  GroupWeights weights(robust_settings(1), {1, 1}, 2);
  weights.step(sums_of({0}, {5000}, {1}, 1));
  EXPECT_EQ(weights.alpha_K()[1], 0);  // below the smallest float64, kept as its logarithm
  weights.step(sums_of({1}, {5000}, {1}, 1));
  EXPECT_NEAR(weights.alpha_K()[1], 0.5, 1e-11);  // logarithms near 5000 carry an error of 1e-12
}

TEST(GroupWeights, MixInTheUniformWeightsAsAFloor) {
  RobustSettings settings = robust_settings(1);
  settings.min_weight = 0.1;
  GroupWeights weights(settings, {1, 1, 1}, 3);
  const std::vector<double> weight = weights.step(sums_of({0, 1}, {1e6, 0}, {1, 1}, 2));
  EXPECT_NEAR(weight[0], 0.8, kRounding);
  EXPECT_NEAR(weight[1], 0.1, kRounding);
  EXPECT_NEAR(total(weights.alpha_K()), 1, kRounding);
  EXPECT_LT(weights.log_alpha_K()[1], -1000);  // the floor is not part of the state
}

TEST(GroupWeights, TradeOffSlowsTheAscentAndMixesTheGradientWeights) {
  RobustSettings settings = robust_settings(2);
  settings.trade_off = 0.25;
  GroupWeights weights(settings, {1, 1}, 2);
  const std::vector<double> weight = weights.step(sums_of({0, 1}, {1, 3}, {1, 1}, 2));
  const double alpha = 1 / (1 + std::exp(2 * 0.25 * (3 - 1)));
  EXPECT_NEAR(weights.alpha_K()[0], alpha, kRounding);
  EXPECT_NEAR(weight[0], 0.75 * 0.5 + 0.25 * alpha, kRounding);
}

TEST(GroupWeights, TradeOffZeroLeavesUniformWeightsEvenForHugeLosses) {
  RobustSettings settings = robust_settings(2);
  settings.trade_off = 0;
  GroupWeights weights(settings, {1, 1}, 2);
  const std::vector<double> weight = weights.step(sums_of({0, 1}, {1e308, 0}, {1e-8, 1}, 2));
  EXPECT_NEAR(weight[0], 0.5, kRounding);
}

TEST(GroupWeights, AdjustmentRaisesSmallGroups) {
  RobustSettings settings = robust_settings(1);
  settings.adjustment = 3;
  GroupWeights weights(settings, {900, 9}, 909);
  weights.step(sums_of({0, 1}, {1, 1}, {1, 1}, 2));
  EXPECT_NEAR(std::log(weights.alpha_K()[1] / weights.alpha_K()[0]), 3 / 3.0 - 3 / 30.0, kRounding);
}

TEST(GroupWeights, AfterGradientUsesTheAlphaOfTheStepBefore) {
  RobustSettings settings = robust_settings(1);
  settings.update = WeightUpdate::kAfterGradient;
  GroupWeights after(settings, {1, 1}, 2), before(robust_settings(1), {1, 1}, 2);
  const GroupSums sums = sums_of({0, 1}, {1, 2}, {1, 1}, 2);
  EXPECT_NEAR(after.step(sums)[0], 0.5, kRounding);
  EXPECT_EQ(before.step(sums), after.step(sums));
}

// Who has alpha alone, as rank 0 has the coordinator's, computes the same weights as who owns it.
TEST(GroupWeights, FollowFromAlphaBitByBit) {
  for (const RobustMode mode : {RobustMode::kNone, RobustMode::kImportance, RobustMode::kGroupRobust}) {
    RobustSettings settings;
    settings.mode = mode;
    settings.trade_off = 0.7;
    settings.min_weight = 0.05;
    settings.update = WeightUpdate::kAfterGradient;
    GroupWeights weights(settings, {96, 48, 24, 12}, 180);
    const GroupSums sums = sums_of({0, 2, 3}, {0.3, 1.7, 0.9}, {3, 2, 1}, 6);
    for (int step = 0; step < 5; ++step) {
      std::vector<double> weight(3);
      gradient_weights(settings, weights.alpha_K(), sums.group, weight);
      EXPECT_EQ(weight, weights.step(sums)) << "step " << step;
    }
  }
}

TEST(GroupWeights, ImportanceIsInverseToTheGroupSizeAndFixed) {
  RobustSettings settings;
  settings.mode = RobustMode::kImportance;
  GroupWeights weights(settings, {96, 48, 24, 12}, 180);
  const std::vector<double> weight = weights.step(sums_of({0, 3}, {9, 1}, {1, 1}, 2));
  EXPECT_NEAR(weight[0], 1 / 15.0, kRounding);
  EXPECT_NEAR(weight[1], 8 / 15.0, kRounding);
  EXPECT_NEAR(weights.alpha_K()[1], 2 / 15.0, kRounding);
}

TEST(GroupWeights, GivenImportanceIsNormalised) {
  RobustSettings settings;
  settings.mode = RobustMode::kImportance;
  settings.importance_weight_K = {1, 3};
  EXPECT_NEAR(GroupWeights(settings, {5, 5}, 10).alpha_K()[1], 0.75, kRounding);
}

TEST(GroupWeights, WithoutModeAreTheSharesOfTheGroups) {
  GroupWeights weights(RobustSettings{}, {6, 2}, 8);
  EXPECT_NEAR(weights.step(sums_of({1}, {9}, {1}, 1))[0], 0.25, kRounding);
}

TEST(GroupWeights, RestoreContinuesBitByBit) {
  GroupWeights original(robust_settings(), {4, 2, 1}, 7), resumed(robust_settings(), {4, 2, 1}, 7);
  const GroupSums sums = sums_of({0, 2}, {0.3, 0.9}, {1, 2}, 3);
  original.step(sums);
  resumed.restore(original.log_alpha_K());
  EXPECT_EQ(resumed.step(sums), original.step(sums));
  EXPECT_EQ(resumed.log_alpha_K(), original.log_alpha_K());
}

// eta_alpha's plateau is part of it: the schedule's best loss and the steps that it has waited.
TEST(GroupWeights, ATradeOffThatIsSetScalesTheNextStepAndTheGradient) {
  GroupWeights weights(robust_settings(0.5), {4, 4}, 8);
  weights.step(sums_of({0, 1}, {0.7, 0.4}, {1, 1}, 2));
  const std::vector<double> before_K = weights.alpha_K();
  weights.set_trade_off(0.25);
  EXPECT_EQ(weights.alpha_K(), before_K);
  EXPECT_NEAR(weights.gradient_weight(0), 0.75 / 2 + 0.25 * before_K[0], kRounding);
  weights.step(sums_of({0, 1}, {0.7, 0.4}, {1, 1}, 2));
  const double log_ratio = (0.5 + 0.5 * 0.25) * (0.7 - 0.4);
  EXPECT_NEAR(std::log(weights.alpha_K()[0] / weights.alpha_K()[1]), log_ratio, kRounding);
  EXPECT_THROW(weights.set_trade_off(1.5), std::invalid_argument);
  EXPECT_NEAR(weights.gradient_weight(0), 0.75 / 2 + 0.25 * weights.alpha_K()[0], kRounding);
}

TEST(GroupWeights, RestoreOfTheWholeStateContinuesAStepSizeThatShrinks) {
  RobustSettings settings = robust_settings();
  settings.step_plateau = {.factor = 0.5, .patience = 2, .threshold = 0, .smallest = 0};
  const std::vector<double> losses = {0.9, 0.8, 0.85, 0.83, 0.7, 0.75, 0.71, 0.9, 0.95, 0.3};
  for (std::size_t cut = 0; cut <= losses.size(); ++cut) {
    GroupWeights original(settings, {4, 2, 1}, 7), resumed(settings, {4, 2, 1}, 7);
    for (std::size_t step = 0; step < losses.size(); ++step) {
      if (step == cut) resumed.restore(original.state());
      const GroupSums sums = sums_of({0, 2}, {losses[step], 0.1}, {1, 2}, 3);
      const std::vector<double> weight = original.step(sums);
      if (step < cut) continue;
      EXPECT_EQ(resumed.step(sums), weight) << "cut " << cut << ", step " << step;
      EXPECT_EQ(resumed.step_size(), original.step_size());
    }
    EXPECT_LT(original.step_size(), settings.step_size);
  }
}

TEST(GroupWeights, RestoreRefusesAStepSizeThatIsNone) {
  GroupWeights weights(robust_settings(), {1, 1}, 2);
  for (const ScheduleState& state :
       {ScheduleState{.step_size = -1}, ScheduleState{.step_size = NAN}, ScheduleState{.step_size = 1, .best = NAN},
        ScheduleState{.step_size = 1, .waited = -1}}) {
    EXPECT_THROW(weights.restore(GroupWeightsState{weights.log_alpha_K(), {}, state}), std::invalid_argument);
  }
}

TEST(GroupWeights, RestoreRefusesWhatIsNotADistribution) {
  GroupWeights weights(robust_settings(), {1, 1}, 2);
  EXPECT_THROW(weights.restore({0}), std::invalid_argument);
  EXPECT_THROW(weights.restore({0, -kInfinity}), std::invalid_argument);
  EXPECT_THROW(weights.restore({-0.1, -0.2}), std::invalid_argument);
}

TEST(GroupWeights, RefuseBadSumsAndChangeNothing) {
  GroupWeights weights(robust_settings(), {1, 1}, 2);
  const std::vector<double> log_alpha_K = weights.log_alpha_K();
  const std::vector<GroupSums> bad = {
      sums_of({0, 2}, {1, 1}, {1, 1}, 2),  sums_of({1, 0}, {1, 1}, {1, 1}, 2), sums_of({1, 1}, {1, 1}, {1, 1}, 2),
      sums_of({0}, {1, 1}, {1}, 2),        sums_of({0}, {1}, {}, 2),           sums_of({0}, {1}, {0}, 2),
      sums_of({0}, {NAN}, {1}, 2),         sums_of({0}, {kInfinity}, {1}, 2),  sums_of({0}, {1}, {kInfinity}, 2),
      sums_of({0, 1}, {1, 1}, {1, -1}, 2), sums_of({0}, {1}, {1}, 0),          sums_of({0}, {1}, {1}, NAN),
  };
  for (const GroupSums& sums : bad) EXPECT_THROW(weights.step(sums), std::invalid_argument);
  EXPECT_EQ(weights.log_alpha_K(), log_alpha_K);
}

TEST(GroupWeights, RefuseSettingsOutOfRange) {
  EXPECT_THROW(GroupWeights(robust_settings(), {}, 1), std::invalid_argument);
  EXPECT_THROW(GroupWeights(robust_settings(), {1, 0}, 1), std::invalid_argument);
  EXPECT_THROW(GroupWeights(robust_settings(), {1}, 0), std::invalid_argument);
  EXPECT_THROW(GroupWeights(robust_settings(-1), {1}, 1), std::invalid_argument);
  EXPECT_THROW(GroupWeights(robust_settings(NAN), {1}, 1), std::invalid_argument);
  RobustSettings floor_too_high = robust_settings();
  floor_too_high.min_weight = 0.6;
  EXPECT_THROW(GroupWeights(floor_too_high, {1, 1}, 2), std::invalid_argument);
  RobustSettings importance;
  importance.mode = RobustMode::kImportance;
  importance.importance_weight_K = {1};
  EXPECT_THROW(GroupWeights(importance, {1, 1}, 2), std::invalid_argument);
}

TEST(GroupWeights, ServeAMillionGroupsFromSparseSums) {
  constexpr std::size_t kGroups = 1'000'000;
  GroupWeights weights(robust_settings(1), std::vector<double>(kGroups, 2), 2.0 * kGroups);
  const std::vector<double> weight = weights.step(sums_of({7, 999'999}, {std::log(3), 0}, {1, 1}, 2));
  EXPECT_NEAR(weight[0] * (kGroups + 2), 3, 1e-9);  // one group of weight 3 among K - 1 of weight 1
  EXPECT_NEAR(weight[1] * (kGroups + 2), 1, 1e-9);
  EXPECT_NEAR(total(weights.alpha_K()), 1, 1e-9);
}

TEST(GroupWeights, GiveTheSameBitsIntoTheCallersMemory) {
  const GroupSums sums = sums_of({0, 2}, {3, 0.5}, {2, 1}, 3);
  for (const WeightUpdate update : {WeightUpdate::kBeforeGradient, WeightUpdate::kAfterGradient}) {
    RobustSettings settings = robust_settings(0.7);
    settings.update = update;
    GroupWeights returning(settings, {4, 5, 6}, 15), writing(settings, {4, 5, 6}, 15);
    std::vector<double> weight(2);
    for (int step = 0; step < 3; ++step) {
      writing.step(sums, weight);
      EXPECT_EQ(returning.step(sums), weight);
    }
    EXPECT_EQ(returning.log_alpha_K(), writing.log_alpha_K());
    EXPECT_THROW(writing.step(sums, std::span(weight).first(1)), std::invalid_argument);
    EXPECT_EQ(returning.log_alpha_K(), writing.log_alpha_K());
  }
}

TEST(GroupWeights, AscendByTheNewStepSizeOnceItIsSet) {
  const GroupSums sums = sums_of({0, 1}, {1, 0}, {1, 1}, 2);
  GroupWeights weights(robust_settings(5), {1, 1}, 2);
  weights.set_step_size(std::log(3));
  EXPECT_THROW(weights.set_step_size(-1), std::invalid_argument);
  const std::vector<double> weight = weights.step(sums);
  EXPECT_NEAR(weight[0], 0.75, kRounding);  // e^log 3 : 1
  EXPECT_EQ(weights.gradient_weight(0), weight[0]);
}

TEST(GroupWeights, AStepThatIsNotFiniteSomewhereMovesNothing) {
  RobustSettings settings = robust_settings(0.5);
  settings.step_plateau = {.factor = 0.1, .patience = 1};
  GroupWeights weights(settings, {1, 1}, 2);
  weights.step(sums_of({0, 1}, {1, 2}, {1, 1}, 2));
  const std::vector<double> log_alpha_K = weights.log_alpha_K();
  std::vector<double> weight(2);
  const std::vector<std::uint32_t> non_finite = {1};
  weights.step(sums_of({0, 1}, {9, 0}, {1, 1}, 2), non_finite, weight);
  EXPECT_EQ(weights.log_alpha_K(), log_alpha_K);
  EXPECT_EQ(weights.step_size(), 0.5);
  EXPECT_EQ(weight, (std::vector<double>{weights.gradient_weight(0), weights.gradient_weight(1)}));
}

TEST(GroupWeights, TheirStepSizeShrinksWhereTheWorstLossHasStoppedFalling) {
  RobustSettings settings = robust_settings(1);
  settings.step_plateau = {.factor = 0.5, .patience = 2, .threshold = 0};
  GroupWeights falling(settings, {1, 1}, 2), resting = falling;
  for (int step = 0; step < 5; ++step) {
    const double worst = -1.0 - step;  // below 0, as losses corrected for label noise may be
    falling.step(sums_of({0, 1}, {worst - 1, worst}, {1, 1}, 2));
    resting.step(sums_of({0, 1}, {-2.0 - step, -1}, {1, 1}, 2));  // the other group's loss does not matter
  }
  EXPECT_EQ(falling.step_size(), 1);
  EXPECT_EQ(resting.step_size(), 0.25);  // the first is the best, then twice two that are not below it
}

// All batches of 2 out of 5 pairs, each as likely as any other.
TEST(EstimateGroupLoss, BatchMeanAndDatasetScaledAgreeInExpectation) {
  const std::vector<double> loss = {0.5, 1.5, 4.0, 0.25, 2.25};
  const std::vector<std::uint32_t> group = {0, 0, 0, 1, 1};
  const std::vector<double> group_pair_count_K = {3, 2};
  std::vector<double> mean_sum_K(2), scaled_sum_K(2), present_K(2);
  double batches = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = i + 1; j < 5; ++j, ++batches) {
      const bool one_group = group[i] == group[j];
      const GroupSums sums =
          one_group ? sums_of({group[i]}, {loss[i] + loss[j]}, {2}, 2) : sums_of({0, 1}, {loss[i], loss[j]}, {1, 1}, 2);
      const auto mean = estimate_group_loss(sums, Estimator::kBatchMean, group_pair_count_K, 5);
      const auto scaled = estimate_group_loss(sums, Estimator::kDatasetScaled, group_pair_count_K, 5);
      for (std::size_t k = 0; k < sums.group.size(); ++k) {
        mean_sum_K[sums.group[k]] += mean[k];
        scaled_sum_K[sums.group[k]] += scaled[k];
        ++present_K[sums.group[k]];
      }
    }
  }
  const std::vector<double> population_K = {(0.5 + 1.5 + 4.0) / 3, (0.25 + 2.25) / 2};
  for (std::size_t g = 0; g < 2; ++g) {
    EXPECT_NEAR(mean_sum_K[g] / present_K[g], population_K[g], kRounding);  // given that the group is there
    EXPECT_NEAR(scaled_sum_K[g] / batches, population_K[g], kRounding);     // 0 where it is not
  }
}

TEST(EstimateGroupLoss, IsScaleTimesSum) {
  const GroupSums sums = sums_of({1}, {6}, {2}, 4);
  const std::vector<double> group_pair_count_K = {8, 2};
  EXPECT_EQ(estimate_group_loss(sums, Estimator::kBatchMean, group_pair_count_K, 10)[0], 6.0 / 2);
  EXPECT_EQ(estimate_group_loss(sums, Estimator::kDatasetScaled, group_pair_count_K, 10)[0], 10.0 / 2 * 6 / 4);
  EXPECT_EQ(estimate_group_loss(sums, Estimator::kBatchSum, group_pair_count_K, 10)[0], 6.0 / 4);
  EXPECT_EQ(estimator_scale(sums, Estimator::kDatasetScaled, group_pair_count_K, 10)[0], 10.0 / 2 / 4);
}

}  // namespace group_weights_test

// Trajectories of the authors' update of alpha, as tests/golden/README.md says where from.

namespace group_weights_golden_test {

struct GoldenCase {
  std::string file;
  RobustMode mode;
  Estimator estimator;
};

// The golden alpha is float32 and multiplied up over 20 steps: 20 roundings of 6e-8.
constexpr double kAlphaTolerance = 2e-6;

nlohmann::json golden(const std::string& file) {
  return nlohmann::json::parse(std::ifstream("golden/group_weights/" + file));
}

// The authors' group loss of *_total is ours times the batch size, so their step size is ours divided by it.
GroupWeights weights_of(const nlohmann::json& run, const GoldenCase& golden_case) {
  RobustSettings settings;
  settings.mode = golden_case.mode;
  settings.estimator = golden_case.estimator;
  const double authors_factor = golden_case.estimator == Estimator::kDatasetScaled ? run["batch"].get<double>() : 1.0;
  settings.step_size = run["eta"].get<double>() * authors_factor;
  return GroupWeights(settings, run["N_g"].get<std::vector<double>>(), run["N"]);
}

GroupSums sums_of(const nlohmann::json& step, double batch_pairs) {
  GroupSums sums;
  sums.batch_pairs = batch_pairs;
  for (std::uint32_t g = 0; g < step["group_count"].size(); ++g) {
    if (step["group_count"][g] == 0) continue;
    sums.group.push_back(g);
    sums.loss_sum.push_back(step["group_loss_sum"][g]);
    sums.pair_count.push_back(step["group_count"][g]);
  }
  return sums;
}

class GroupWeightsGolden : public testing::TestWithParam<GoldenCase> {};

TEST_P(GroupWeightsGolden, FollowsTheTrajectoryOfAlpha) {
  const nlohmann::json run = golden(GetParam().file);
  GroupWeights weights = weights_of(run, GetParam());
  for (const nlohmann::json& step : run["steps"]) {
    const auto before_K = step["alpha_before"].get<std::vector<double>>();
    for (std::size_t g = 0; g < before_K.size(); ++g) EXPECT_NEAR(weights.alpha_K()[g], before_K[g], kAlphaTolerance);
    weights.step(sums_of(step, run["batch"]));
    const auto after_K = step["alpha"].get<std::vector<double>>();
    for (std::size_t g = 0; g < after_K.size(); ++g) EXPECT_NEAR(weights.alpha_K()[g], after_K[g], kAlphaTolerance);
  }
}

TEST_P(GroupWeightsGolden, WeightsTimesEstimatesAreTheBackpropagatedLoss) {
  const nlohmann::json run = golden(GetParam().file);
  GroupWeights weights = weights_of(run, GetParam());
  const auto group_pair_count_K = run["N_g"].get<std::vector<double>>();
  const double batch_pairs = run["batch"];
  const double authors_factor = GetParam().estimator == Estimator::kDatasetScaled ? batch_pairs : 1.0;
  for (const nlohmann::json& step : run["steps"]) {
    const GroupSums sums = sums_of(step, batch_pairs);
    const std::vector<double> weight = weights.step(sums);
    const std::vector<double> estimate = estimate_group_loss(sums, GetParam().estimator, group_pair_count_K, run["N"]);
    double loss = 0;
    for (std::size_t i = 0; i < weight.size(); ++i) {
      EXPECT_NEAR(estimate[i] * authors_factor / step["group_loss"][sums.group[i]].get<double>(), 1, 1e-6);
      loss += weight[i] * estimate[i] * authors_factor;
    }
    EXPECT_NEAR(loss / step["loss"].get<double>(), 1, 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Runs, GroupWeightsGolden,
    testing::Values(GoldenCase{"gr_dpo_mean.json", RobustMode::kGroupRobust, Estimator::kBatchMean},
                    GoldenCase{"gr_dpo_total.json", RobustMode::kGroupRobust, Estimator::kDatasetScaled},
                    GoldenCase{"gr_ipo_mean.json", RobustMode::kGroupRobust, Estimator::kBatchMean},
                    GoldenCase{"is_dpo_mean.json", RobustMode::kImportance, Estimator::kBatchMean},
                    GoldenCase{"is_dpo_total.json", RobustMode::kImportance, Estimator::kDatasetScaled}),
    [](const auto& golden_case) { return golden_case.param.file.substr(0, golden_case.param.file.find('.')); });

}  // namespace group_weights_golden_test

namespace baseline_test {

constexpr double kRounding = 1e-14;  // a few operations in float64 on numbers up to 1

RobustSettings above(std::vector<double> baseline_K) {
  RobustSettings settings;
  settings.mode = RobustMode::kGroupRobust;
  settings.estimator = Estimator::kBatchMean;
  settings.step_size = 0.5;
  settings.baseline_K = std::move(baseline_K);
  return settings;
}

void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t g = 0; g < found.size(); ++g) EXPECT_NEAR(found[g], expected[g], kRounding) << "group " << g;
}

TEST(Baseline, WeightsFollowTheLossAboveIt) {
  GroupWeights weights(above({0.6, 0.1}), {4, 4}, 8);
  weights.step({.group = {0, 1}, .loss_sum = {2 * 0.7, 3 * 0.4}, .pair_count = {2, 3}, .batch_pairs = 5});
  const double first = std::exp(0.5 * 0.1), second = std::exp(0.5 * 0.3);
  expect_near(weights.alpha_K(), {first / (first + second), second / (first + second)});
}

TEST(Baseline, AGroupThatIsAtItNeitherRisesNorFalls) {
  GroupWeights weights(above({0.7, 0.7, 0.2}), {1, 1, 1}, 3);
  for (int step = 0; step < 50; ++step) {
    weights.step({.group = {0, 1, 2}, .loss_sum = {0.7, 0.7, 0.2}, .pair_count = {1, 1, 1}, .batch_pairs = 3});
  }
  expect_near(weights.alpha_K(), {1.0 / 3, 1.0 / 3, 1.0 / 3});
}

TEST(Baseline, OneForAllIsTheSameAsNone) {
  GroupWeights with(above({0.3, 0.3}), {3, 1}, 4), without(above({}), {3, 1}, 4);
  const GroupSums sums{.group = {0, 1}, .loss_sum = {1.5, 0.9}, .pair_count = {3, 1}, .batch_pairs = 4};
  with.step(sums);
  without.step(sums);
  expect_near(with.alpha_K(), without.alpha_K());
}

TEST(Baseline, ZerosGiveTheSameBitsAsNone) {
  GroupWeights with(above({0, 0}), {3, 1}, 4), without(above({}), {3, 1}, 4);
  for (int step = 1; step < 20; ++step) {
    const GroupSums sums{.group = {0, 1}, .loss_sum = {1.5 / step, 0.9}, .pair_count = {3, 1}, .batch_pairs = 4};
    with.step(sums);
    without.step(sums);
  }
  EXPECT_EQ(with.log_alpha_K(), without.log_alpha_K());
}

// Over all pairs as batches of one, dataset_scaled adds up to L_g - b_g of each group, though one is absent each time.
TEST(Baseline, DatasetScaledStaysUnbiased) {
  const std::vector<double> loss = {0.5, 1.5, 4.0, 0.25, 2.25}, baseline_K = {0.4, 0.9};
  const std::vector<std::uint32_t> group = {0, 0, 0, 1, 1};
  RobustSettings settings = above(baseline_K);
  settings.estimator = Estimator::kDatasetScaled;
  GroupWeights weights(settings, {3, 2}, 5);
  for (std::size_t i = 0; i < loss.size(); ++i) {
    weights.step({.group = {group[i]}, .loss_sum = {loss[i]}, .pair_count = {1}, .batch_pairs = 1});
  }
  const double first = 6.0 / 3 - baseline_K[0], second = 2.5 / 2 - baseline_K[1];
  const double ratio = std::exp(0.5 * 5 * (first - second));
  expect_near(weights.alpha_K(), {ratio / (1 + ratio), 1 / (1 + ratio)});
}

TEST(Baseline, HoldsForClosedFormsToo) {
  RobustSettings settings = above({0.6, 0.1, 0.2});
  settings.ambiguity_set = AmbiguitySet::kKl;
  settings.tau = 0.5;
  GroupWeights weights(settings, {1, 1, 2}, 4);
  // Group 2 is not known yet: it counts as the mean of the others' excess, 0.1 and 0.3.
  weights.step({.group = {0, 1}, .loss_sum = {0.7, 0.4}, .pair_count = {1, 1}, .batch_pairs = 2});
  const std::vector<double> raw = {std::exp(0.1 / 0.5), std::exp(0.3 / 0.5), 2 * std::exp(0.2 / 0.5)};
  const double total = raw[0] + raw[1] + raw[2];
  expect_near(weights.alpha_K(), {raw[0] / total, raw[1] / total, raw[2] / total});
  EXPECT_NEAR(weights.group_loss_K()[0], 0.7, kRounding) << "what is recorded is the loss itself";
}

TEST(Baseline, IsRefusedWhereItIsNoNumberForEachGroup) {
  EXPECT_THROW(GroupWeights(above({0.1}), {1, 1}, 2), std::invalid_argument);
  EXPECT_THROW(GroupWeights(above({0.1, std::nan("")}), {1, 1}, 2), std::invalid_argument);
  EXPECT_THROW(GroupWeights(above({0.1, std::numeric_limits<double>::infinity()}), {1, 1}, 2), std::invalid_argument);
  EXPECT_NO_THROW(GroupWeights(above({-3, 0}), {1, 1}, 2));
}

}  // namespace baseline_test
}  // namespace equipoise
