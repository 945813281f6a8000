// GroupWeights with the ambiguity sets that have a closed form.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "common/robust/group_weights.h"
#include "common/robust/log_simplex.h"

namespace equipoise {
namespace closed_form_weights_test {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1e-14;  // a few operations in float64 on numbers up to 1

RobustSettings settings_of(AmbiguitySet set, double parameter) {
  RobustSettings settings;
  settings.mode = RobustMode::kGroupRobust;
  settings.ambiguity_set = set;
  if (set == AmbiguitySet::kCvar) settings.kappa = parameter;
  if (set == AmbiguitySet::kChiSquare) settings.rho = parameter;
  if (set == AmbiguitySet::kKl) settings.tau = parameter;
  return settings;
}

std::vector<RobustSettings> every_set() {
  return {settings_of(AmbiguitySet::kCvar, 0.4), settings_of(AmbiguitySet::kChiSquare, 0.2),
          settings_of(AmbiguitySet::kKl, 0.7)};
}

// Two pairs of each group, whose mean loss is this.
GroupSums batch(std::vector<std::uint32_t> group, const std::vector<double>& mean_loss) {
  GroupSums sums{.group = std::move(group),
                 .loss_sum = {},
                 .pair_count = std::vector<double>(mean_loss.size(), 2),
                 .batch_pairs = 2 * static_cast<double>(mean_loss.size())};
  for (const double loss : mean_loss) sums.loss_sum.push_back(2 * loss);
  return sums;
}

GroupSums batch(const std::vector<double>& mean_loss_K) {
  std::vector<std::uint32_t> group(mean_loss_K.size());
  std::iota(group.begin(), group.end(), 0u);
  return batch(group, mean_loss_K);
}

void expect_near(const std::vector<double>& found, const std::vector<double>& expected, double rounding = kRounding) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t g = 0; g < found.size(); ++g) EXPECT_NEAR(found[g], expected[g], rounding) << "group " << g;
}

std::vector<double> normalized(std::vector<double> weight_K) {
  const double total = std::accumulate(weight_K.begin(), weight_K.end(), 0.0);
  for (double& weight : weight_K) weight /= total;
  return weight_K;
}

TEST(ClosedFormWeights, StartAtTheSharesOfTheGroups) {
  for (const RobustSettings& settings : every_set()) {
    expect_near(GroupWeights(settings, {1, 3, 6}, 10).alpha_K(), {0.1, 0.3, 0.6});
  }
}

TEST(ClosedFormWeights, CvarFillsKappaOfThePopulationFromTheWorstGroupDown) {
  GroupWeights weights(settings_of(AmbiguitySet::kCvar, 0.4), {1, 3, 6}, 10);
  expect_near(weights.step(batch({3, 1, 2})), {0.1 / 0.4, 0, 0.3 / 0.4});
  EXPECT_EQ(weights.alpha_K()[1], 0);
  EXPECT_EQ(weights.log_alpha_K()[1], kLowestLogWeight);  // not -infinity, which no record may hold
  expect_near(weights.step(batch({0, 1, 0})), {0.1 / 0.7 * 0.1 / 0.4, 0.3 / 0.4, 0.6 / 0.7 * 0.1 / 0.4});
}

TEST(ClosedFormWeights, ChiSquareGoesAsFarFromTheSharesAsRhoAllows) {
  // Two halves: 1/2 sum_g p_g (w_g / p_g - 1)^2 = rho at w = 1/2 (1 +- sqrt(2 rho)).
  GroupWeights weights(settings_of(AmbiguitySet::kChiSquare, 0.18), {5, 5}, 10);
  expect_near(weights.step(batch({7, 2})), {0.5 * (1 + 0.6), 0.5 * (1 - 0.6)});
}

TEST(ClosedFormWeights, KlIsTheShareTimesTheExponentOfLossOverTau) {
  GroupWeights weights(settings_of(AmbiguitySet::kKl, 0.7), {1, 3, 6}, 10);
  expect_near(weights.step(batch({3, 1, 2})),
              normalized({1 * std::exp(3 / 0.7), 3 * std::exp(1 / 0.7), 6 * std::exp(2 / 0.7)}));
}

TEST(ClosedFormWeights, AGroupThatIsAbsentKeepsItsNewestLoss) {
  GroupWeights weights(settings_of(AmbiguitySet::kKl, 1), {1, 1, 1}, 3);
  weights.step(batch({9, 9, 9}));
  weights.step(batch({0, 1}, {3, 1}));
  expect_near(weights.step(batch({1}, {2})), {normalized({std::exp(3), std::exp(2), std::exp(9)})[1]});
  expect_near(weights.alpha_K(), normalized({std::exp(3), std::exp(2), std::exp(9)}));
}

TEST(ClosedFormWeights, AGroupThatWasNeverSeenTakesTheMeanOfTheOthersByShare) {
  GroupWeights weights(settings_of(AmbiguitySet::kKl, 1), {2, 1, 1}, 4);
  weights.step(batch({0, 1}, {1, 4}));
  const double mean = (2 * 1 + 1 * 4) / 3.0;
  expect_near(weights.alpha_K(), normalized({2 * std::exp(1), std::exp(4), std::exp(mean)}));
  EXPECT_TRUE(std::isnan(weights.group_loss_K()[2]));
}

TEST(ClosedFormWeights, AdjustmentRaisesSmallGroups) {
  RobustSettings settings = settings_of(AmbiguitySet::kKl, 1);
  settings.adjustment = 10;
  GroupWeights weights(settings, {100, 25}, 125);
  weights.step(batch({0.5, 0.5}));
  expect_near(weights.alpha_K(), normalized({100 * std::exp(1), 25 * std::exp(2)}));
  EXPECT_EQ(weights.group_loss_K(), std::vector<double>({0.5, 0.5}));  // as seen, without it
}

TEST(ClosedFormWeights, AreOfTheMeanLossWhateverScalesTheGradient) {
  for (RobustSettings settings : every_set()) {
    GroupWeights by_mean(settings, {1, 3, 6}, 10);
    settings.estimator = Estimator::kDatasetScaled;
    GroupWeights scaled(settings, {1, 3, 6}, 10);
    EXPECT_EQ(by_mean.step(batch({0, 2}, {3, 1})), scaled.step(batch({0, 2}, {3, 1})));
  }
}

TEST(ClosedFormWeights, DependOnTheNewestLossesAlone) {
  for (const RobustSettings& settings : every_set()) {
    GroupWeights one(settings, {1, 3, 6}, 10), other(settings, {1, 3, 6}, 10);
    one.step(batch({5, 0, 2}));
    other.step(batch({0, 7, 1}));
    EXPECT_EQ(one.step(batch({3, 1, 2})), other.step(batch({3, 1, 2})));
    EXPECT_EQ(one.log_alpha_K(), other.log_alpha_K());
  }
}

TEST(ClosedFormWeights, AfterGradientUsesTheWeightsOfTheStepBefore) {
  for (RobustSettings settings : every_set()) {
    GroupWeights before(settings, {1, 3, 6}, 10);
    settings.update = WeightUpdate::kAfterGradient;
    GroupWeights after(settings, {1, 3, 6}, 10);
    expect_near(after.step(batch({3, 1, 2})), {0.1, 0.3, 0.6});
    EXPECT_EQ(after.step(batch({0, 0, 1})), before.step(batch({3, 1, 2})));
  }
}

TEST(ClosedFormWeights, TradeOffMixesTheGradientWeightsAndNotTheLosses) {
  RobustSettings settings = settings_of(AmbiguitySet::kChiSquare, 0.18);
  settings.trade_off = 0.25;
  GroupWeights weights(settings, {5, 5}, 10);
  expect_near(weights.step(batch({7, 2})), {0.75 * 0.5 + 0.25 * 0.8, 0.75 * 0.5 + 0.25 * 0.2});
  expect_near(weights.alpha_K(), {0.8, 0.2});
}

TEST(ClosedFormWeights, MixInTheUniformWeightsAsAFloor) {
  RobustSettings settings = settings_of(AmbiguitySet::kCvar, 0.1);
  settings.min_weight = 0.1;
  GroupWeights weights(settings, {1, 3, 6}, 10);
  expect_near(weights.step(batch({3, 1, 2})), {0.8, 0.1, 0.1});
}

TEST(ClosedFormWeights, FollowAPermutationOfTheGroups) {
  for (const RobustSettings& settings : every_set()) {
    GroupWeights weights(settings, {1, 3, 6}, 10), permuted(settings, {6, 1, 3}, 10);
    const std::vector<double> alpha_K = weights.step(batch({3, 1, 2})), permuted_K = permuted.step(batch({2, 3, 1}));
    expect_near(permuted_K, {alpha_K[2], alpha_K[0], alpha_K[1]});
  }
}

TEST(ClosedFormWeights, IgnoreAConstantAddedToEveryLoss) {
  for (const RobustSettings& settings : every_set()) {
    GroupWeights weights(settings, {1, 3, 6}, 10), shifted(settings, {1, 3, 6}, 10);
    // Powers of two: nothing is rounded away.
    expect_near(shifted.step(batch({64.75, 64.25, 64.5})), weights.step(batch({0.75, 0.25, 0.5})));
  }
}

TEST(ClosedFormWeights, RestoreContinuesBitByBitWithGroupsThatWereNeverSeen) {
  for (const RobustSettings& settings : every_set()) {
    GroupWeights original(settings, {1, 3, 6, 2}, 12);
    for (const GroupSums& sums : {batch({0, 2}, {0.3, 0.9}), batch({1}, {0.7}), batch({0, 3}, {0.8, 0.1})}) {
      GroupWeights resumed(settings, {1, 3, 6, 2}, 12);
      resumed.restore(original.log_alpha_K(), original.group_loss_K());
      EXPECT_EQ(resumed.alpha_K(), original.alpha_K());
      EXPECT_EQ(resumed.step(sums), original.step(sums));
      EXPECT_EQ(resumed.log_alpha_K(), original.log_alpha_K());
    }
  }
}

TEST(ClosedFormWeights, RestoreRefusesWhatIsNoRecordAndChangesNothing) {
  GroupWeights weights(settings_of(AmbiguitySet::kKl, 1), {1, 1}, 2);
  weights.step(batch({1, 2}));
  const std::vector<double> log_alpha_K = weights.log_alpha_K(), group_loss_K = weights.group_loss_K();
  EXPECT_THROW(weights.restore(log_alpha_K), std::invalid_argument);  // as of a simplex: the losses are missing
  EXPECT_THROW(weights.restore(log_alpha_K, {1}), std::invalid_argument);
  EXPECT_THROW(weights.restore(log_alpha_K, {1, kInfinity}), std::invalid_argument);
  EXPECT_THROW(weights.restore({0, 0}, {5, 6}), std::invalid_argument);
  EXPECT_EQ(weights.log_alpha_K(), log_alpha_K);
  EXPECT_EQ(weights.group_loss_K(), group_loss_K);
  RobustSettings simplex;
  simplex.mode = RobustMode::kGroupRobust;
  simplex.estimator = Estimator::kBatchMean;
  EXPECT_THROW(GroupWeights(simplex, {1, 1}, 2).restore(log_alpha_K, group_loss_K), std::invalid_argument);
}

TEST(ClosedFormWeights, RefuseBadSumsAndChangeNothing) {
  for (const RobustSettings& settings : every_set()) {
    GroupWeights weights(settings, {1, 3}, 4);
    weights.step(batch({1, 2}));
    const std::vector<double> log_alpha_K = weights.log_alpha_K(), group_loss_K = weights.group_loss_K();
    EXPECT_THROW(weights.step(batch({1, NAN})), std::invalid_argument);
    EXPECT_THROW(weights.step(batch({kInfinity, 1})), std::invalid_argument);
    EXPECT_THROW(weights.step(batch({1, 0}, {1, 1})), std::invalid_argument);
    EXPECT_EQ(weights.log_alpha_K(), log_alpha_K);
    EXPECT_EQ(weights.group_loss_K(), group_loss_K);
  }
}

TEST(ClosedFormWeights, RefuseParametersOutOfRange) {
  for (const double kappa : {0.0, -1.0, 1.1, kInfinity, double{NAN}}) {
    EXPECT_THROW(GroupWeights(settings_of(AmbiguitySet::kCvar, kappa), {1, 1}, 2), std::invalid_argument) << kappa;
  }
  for (const double rho : {-0.1, kInfinity, double{NAN}}) {
    EXPECT_THROW(GroupWeights(settings_of(AmbiguitySet::kChiSquare, rho), {1, 1}, 2), std::invalid_argument) << rho;
  }
  for (const double tau : {0.0, -1.0, kInfinity, double{NAN}}) {
    EXPECT_THROW(GroupWeights(settings_of(AmbiguitySet::kKl, tau), {1, 1}, 2), std::invalid_argument) << tau;
  }
  // A group whose share is 0 in float64 could never be worst.
  EXPECT_THROW(GroupWeights(settings_of(AmbiguitySet::kKl, 1), {1e-300, 1e300}, 2), std::invalid_argument);
}

TEST(ClosedFormWeights, StayFiniteForHugeLosses) {
  for (const RobustSettings& settings : every_set()) {
    GroupWeights weights(settings, {1, 1, 2}, 4);
    const GroupSums sums{.group = {0, 1}, .loss_sum = {1e308, -1e308}, .pair_count = {1e-5, 1e-5}, .batch_pairs = 1};
    weights.step(sums);
    EXPECT_GT(weights.alpha_K()[0], 0.25);
    EXPECT_LT(weights.alpha_K()[1], 0.25);
    GroupWeights resumed(settings, {1, 1, 2}, 4);
    EXPECT_NO_THROW(resumed.restore(weights.log_alpha_K(), weights.group_loss_K()));
  }
}

TEST(ClosedFormWeights, OtherModesHaveNoUseForTheSet) {
  RobustSettings settings = settings_of(AmbiguitySet::kCvar, 0.4);
  settings.mode = RobustMode::kImportance;
  GroupWeights weights(settings, {1, 3}, 4);
  expect_near(weights.step(batch({1, 2})), {0.75, 0.25});
  EXPECT_TRUE(weights.group_loss_K().empty());
}

TEST(ClosedFormWeights, ServeAMillionGroupsFromSparseSums) {
  constexpr std::size_t kGroups = 1'000'000;
  GroupWeights weights(settings_of(AmbiguitySet::kCvar, 0.5), std::vector<double>(kGroups, 2), 2.0 * kGroups);
  expect_near(weights.step(batch({7, 999'999}, {1, 0})), {2.0 / kGroups, 0}, 1e-12);
}

}  // namespace closed_form_weights_test
}  // namespace equipoise
