#include "common/robust/ambiguity_sets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "common/base/split_mix64.h"
#include "common/robust/group_weights.h"

namespace equipoise {
namespace ambiguity_sets_test {

constexpr double kRounding = 1e-12;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Groups {
  std::vector<double> loss_K, share_K;
  operator GroupRisk() const { return {loss_K, share_K}; }
};

// Losses in [0, 3) and shares of a few groups, the same on every machine.
Groups random_groups(std::uint64_t seed) {
  SplitMix64 random(seed);
  Groups groups;
  for (std::uint64_t g = 0; g < 2 + random.below(6); ++g) {
    groups.loss_K.push_back(3 * random.uniform());
    groups.share_K.push_back(0.05 + random.uniform());
  }
  const double total = std::accumulate(groups.share_K.begin(), groups.share_K.end(), 0.0);
  for (double& share : groups.share_K) share /= total;
  return groups;
}

double value(const std::vector<double>& weight_K, const Groups& groups) {
  return std::inner_product(weight_K.begin(), weight_K.end(), groups.loss_K.begin(), 0.0);
}

// Smallest value of a convex function on [low, high], by golden-section search.
double minimum(const std::function<double(double)>& function, double low, double high) {
  const double ratio = (std::sqrt(5.0) - 1) / 2;
  for (int i = 0; i < 200; ++i) {
    const double left = high - ratio * (high - low), right = low + ratio * (high - low);
    (function(left) < function(right) ? high : low) = function(left) < function(right) ? right : left;
  }
  return function((low + high) / 2);
}

void expect_distribution(const std::vector<double>& weight_K) {
  EXPECT_NEAR(std::accumulate(weight_K.begin(), weight_K.end(), 0.0), 1, kRounding);
  for (const double weight : weight_K) EXPECT_GE(weight, 0);
}

double distance(const std::vector<double>& weight_K, const Groups& groups) {
  double sum = 0;
  for (std::size_t g = 0; g < weight_K.size(); ++g) {
    sum += groups.share_K[g] * std::pow(weight_K[g] / groups.share_K[g] - 1, 2) / 2;
  }
  return sum;
}

TEST(Cvar, FillsThePopulationFromTheWorstGroupDown) {
  const Groups groups{{1, 3, 2}, {0.5, 0.2, 0.3}};
  const std::vector<double> weight_K = cvar_weights(groups, 0.4);
  EXPECT_NEAR(weight_K[0], 0, kRounding);
  EXPECT_NEAR(weight_K[1], 0.2 / 0.4, kRounding);
  EXPECT_NEAR(weight_K[2], 0.2 / 0.4, kRounding);
}

// Rockafellar and Uryasev: CVaR = min over eta of eta + E[(L - eta)+] / kappa.
TEST(Cvar, ReachesItsDualValue) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Groups groups = random_groups(seed);
    for (const double kappa : {0.05, 0.3, 0.7, 1.0}) {
      const auto dual = [&](double eta) {
        double excess = 0;
        for (std::size_t g = 0; g < groups.loss_K.size(); ++g) {
          excess += groups.share_K[g] * std::max(groups.loss_K[g] - eta, 0.0);
        }
        return eta + excess / kappa;
      };
      const std::vector<double> weight_K = cvar_weights(groups, kappa);
      expect_distribution(weight_K);
      for (std::size_t g = 0; g < weight_K.size(); ++g) EXPECT_LE(weight_K[g], groups.share_K[g] / kappa + kRounding);
      EXPECT_NEAR(value(weight_K, groups), minimum(dual, -1, 4), 1e-9);
    }
  }
}

// Duchi and Namkoong: the value is min over eta of sqrt(1 + 2 rho) * sqrt(E[(L - eta)+^2]) + eta.
TEST(ChiSquare, ReachesItsDualValueWithinItsRadius) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Groups groups = random_groups(seed);
    for (const double rho : {0.01, 0.2, 1.0, 5.0}) {
      const auto dual = [&](double eta) {
        double squares = 0;
        for (std::size_t g = 0; g < groups.loss_K.size(); ++g) {
          squares += groups.share_K[g] * std::pow(std::max(groups.loss_K[g] - eta, 0.0), 2);
        }
        return std::sqrt((1 + 2 * rho) * squares) + eta;
      };
      const std::vector<double> weight_K = chi_square_weights(groups, rho);
      expect_distribution(weight_K);
      EXPECT_LE(distance(weight_K, groups), rho + 1e-9);
      EXPECT_NEAR(value(weight_K, groups), minimum(dual, -50, 4), 1e-7);
    }
  }
}

TEST(ChiSquare, NearTheSharesIsMeanPlusStandardDeviation) {
  const Groups groups{{1, 2}, {0.5, 0.5}};  // mean 1.5, standard deviation 0.5
  EXPECT_NEAR(value(chi_square_weights(groups, 0.02), groups), 1.5 + std::sqrt(2 * 0.02) * 0.5, kRounding);
}

// The entropic risk: max of sum w L - tau KL(w, p) is tau * log E[exp(L / tau)].
TEST(Kl, ReachesItsDualValue) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Groups groups = random_groups(seed);
    for (const double tau : {0.1, 1.0, 10.0}) {
      const std::vector<double> weight_K = kl_weights(groups, tau);
      expect_distribution(weight_K);
      double divergence = 0, moment = 0;
      for (std::size_t g = 0; g < weight_K.size(); ++g) {
        divergence += weight_K[g] * std::log(weight_K[g] / groups.share_K[g]);
        moment += groups.share_K[g] * std::exp(groups.loss_K[g] / tau);
      }
      EXPECT_NEAR(value(weight_K, groups) - tau * divergence, tau * std::log(moment), 1e-9);
    }
  }
}

using WeightsOf = std::function<std::vector<double>(const GroupRisk&)>;

struct AmbiguityCase {
  std::string name;
  WeightsOf weights_of;   // at a middling parameter
  WeightsOf share_limit;  // where the set is the shares alone
  WeightsOf worst_limit;  // where it reaches the worst group
};

class AmbiguitySet : public testing::TestWithParam<AmbiguityCase> {};

TEST_P(AmbiguitySet, KeepsTheRatioOfSharesBetweenEqualLosses) {
  const Groups groups{{2, 5, 2, 2, 1}, {0.1, 0.1, 0.2, 0.4, 0.2}};
  const std::vector<double> weight_K = GetParam().weights_of(groups);
  EXPECT_GT(weight_K[0], 0);
  EXPECT_NEAR(weight_K[2], 2 * weight_K[0], kRounding);
  EXPECT_NEAR(weight_K[3], 4 * weight_K[0], kRounding);
}

TEST_P(AmbiguitySet, FollowsAPermutationAndIgnoresAShiftOfTheLosses) {
  const Groups groups{{2, 5, 3}, {0.5, 0.2, 0.3}}, permuted{{103, 102, 105}, {0.3, 0.5, 0.2}};
  const std::vector<double> weight_K = GetParam().weights_of(groups), permuted_K = GetParam().weights_of(permuted);
  EXPECT_NEAR(permuted_K[0], weight_K[2], kRounding);
  EXPECT_NEAR(permuted_K[1], weight_K[0], kRounding);
  EXPECT_NEAR(permuted_K[2], weight_K[1], kRounding);
}

TEST_P(AmbiguitySet, EqualLossesGiveTheShares) {
  const Groups groups{{2, 2}, {0.25, 0.75}};
  EXPECT_NEAR(GetParam().weights_of(groups)[0], 0.25, kRounding);
  // Sums over the same losses in another order.
  const double above = std::nextafter(2.0, 3.0);
  EXPECT_NEAR(GetParam().weights_of(Groups{{2, above}, {0.25, 0.75}})[0], 0.25, kRounding);
  EXPECT_NEAR(GetParam().weights_of(Groups{{above, 2}, {0.25, 0.75}})[0], 0.25, kRounding);
}

TEST_P(AmbiguitySet, ReachesFromTheSharesToTheWorstGroup) {
  const Groups groups{{2, 5, 3}, {0.5, 0.2, 0.3}};
  for (std::size_t g = 0; g < 3; ++g) EXPECT_NEAR(GetParam().share_limit(groups)[g], groups.share_K[g], 1e-6);
  EXPECT_NEAR(GetParam().worst_limit(groups)[1], 1, kRounding);
}

TEST_P(AmbiguitySet, StaysADistributionForHugeLosses) {
  constexpr double kHuge = std::numeric_limits<double>::max();
  const std::vector<double> weight_K = GetParam().weights_of(Groups{{kHuge, -kHuge, 0}, {0.2, 0.5, 0.3}});
  expect_distribution(weight_K);
  EXPECT_GT(weight_K[0], 0.2 + 1e-3);  // and the worst group still gains
}

TEST_P(AmbiguitySet, RefusesWhatIsNotARisk) {
  const auto refuses = [](const Groups& groups) { EXPECT_THROW(GetParam().weights_of(groups), std::invalid_argument); };
  refuses({{}, {}});
  refuses({{1, 2}, {1}});
  refuses({{1, kNan}, {0.5, 0.5}});
  refuses({{1, kInfinity}, {0.5, 0.5}});
  refuses({{1, 2}, {1, 0}});
  refuses({{1, 2}, {0.5, 0.6}});
}

AmbiguityCase cvar_case() {
  const auto at = [](double kappa) { return [kappa](const GroupRisk& risk) { return cvar_weights(risk, kappa); }; };
  return {"cvar", at(0.5), at(1), at(0.2)};
}

AmbiguityCase chi_square_case() {
  const auto at = [](double rho) { return [rho](const GroupRisk& risk) { return chi_square_weights(risk, rho); }; };
  return {"chi_square", at(0.3), at(0), at(2)};  // 2 = (1/0.2 - 1) / 2
}

AmbiguityCase kl_case() {
  const auto at = [](double tau) { return [tau](const GroupRisk& risk) { return kl_weights(risk, tau); }; };
  return {"kl", at(1), at(1e8), at(1e-3)};
}

INSTANTIATE_TEST_SUITE_P(Sets, AmbiguitySet, testing::Values(cvar_case(), chi_square_case(), kl_case()),
                         [](const auto& ambiguity) { return ambiguity.param.name; });

TEST(AmbiguitySets, RefuseParametersOutOfRange) {
  const Groups groups{{1, 2}, {0.5, 0.5}};
  for (const double kappa : {0.0, -1.0, 1.1, kNan}) EXPECT_THROW(cvar_weights(groups, kappa), std::invalid_argument);
  for (const double rho : {-1.0, kNan, kInfinity}) EXPECT_THROW(chi_square_weights(groups, rho), std::invalid_argument);
  for (const double tau : {0.0, -1.0, kNan, kInfinity}) EXPECT_THROW(kl_weights(groups, tau), std::invalid_argument);
}

}  // namespace ambiguity_sets_test

// GroupWeights with the ambiguity sets that have a closed form.

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
