#include "experiments/bandits/duality_gap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "client/data/preference_generator.h"
#include "common/base/split_mix64.h"
#include "common/log_linear/closed_form.h"
#include "experiments/bandits/engine.h"

namespace equipoise::log_linear {
namespace duality_gap_test {

const Problem kProblem{FeatureMap::kSwapped, 8, {{1, 3, 1, 3}, {3, 1, 3, 1}}, {1, 2, 3, 4}};
constexpr LossSettings kDpo{PairLoss::kDpo, 1, 0};
constexpr LossSettings kIpo{PairLoss::kIpo, 0.1, 0};

PairMatrix pairs(Preferring preferring = Preferring::kBradleyTerry) {
  return make_pair_matrix(kProblem, generate_preferences(kProblem, {Responses::kEven, preferring, {60, 240}, 6}));
}

double norm(std::span<const double> theta_D) {
  double square = 0;
  for (const double value : theta_D) square += value * value;
  return std::sqrt(square);
}

TEST(WeightedMinimum, OfIpoIsTheClosedForm) {
  const PairMatrix matrix = pairs();
  const std::vector<double> coefficient_K = {0.5 / 60, 0.5 / 240};
  std::vector<double> expected_D(4);
  NormalEquations(matrix, {0, 300}).solve(std::vector<std::uint32_t>{0, 1}, coefficient_K, 0.1, 0, expected_D);
  const WeightedMinimum found = minimise_weighted_loss(matrix, kIpo, coefficient_K, 0);
  EXPECT_TRUE(found.converged);
  for (std::size_t j = 0; j < 4; ++j) EXPECT_NEAR(found.theta_D[j], expected_D[j], 1e-6);
}

// A value at any other theta is above the lower bound; the minimum's own is close to it.
void expect_minimum(const WeightedMinimum& found, const PairMatrix& matrix, const LossSettings& loss, double radius) {
  EXPECT_TRUE(found.converged);
  EXPECT_LE(found.value - found.lower_bound, 1e-10 * (1 + found.value));
  GroupedPairs grouped;
  grouped.assign(matrix, PairRange{0, matrix.pairs()});
  StepSums sums(loss, 2, 4);
  SplitMix64 random(1);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> theta_D = found.theta_D;
    for (double& value : theta_D) value += 0.02 * (random.uniform() - 0.5);
    const double length = norm(theta_D);
    for (double& value : theta_D) value *= radius > 0 ? std::min(1.0, radius / length) : 1.0;
    sums.assign(grouped, theta_D);
    EXPECT_GE(sums.loss_sum(0) / 60 + sums.loss_sum(1) / 240, found.lower_bound);
  }
}

TEST(WeightedMinimum, IsBelowEveryNeighbour) {
  const std::vector<double> coefficient_K = {1.0 / 60, 1.0 / 240};
  for (const LossSettings& loss : {kDpo, kIpo}) {
    for (const double radius : {0.0, 0.5, 3.0, 1000.0}) {
      SCOPED_TRACE(testing::Message() << "radius " << radius);
      const WeightedMinimum found = minimise_weighted_loss(pairs(), loss, coefficient_K, radius);
      expect_minimum(found, pairs(), loss, radius);
      EXPECT_TRUE(radius == 0 || norm(found.theta_D) <= radius * (1 + 1e-12));
    }
  }
}

TEST(WeightedMinimum, OfSeparablePairsApproachesZero) {
  // One group alone prefers by its own reward vector, so DPO's loss has infimum 0, which no theta reaches.
  const std::vector<double> first_only_K = {1.0 / 60, 0};
  const WeightedMinimum found = minimise_weighted_loss(pairs(Preferring::kDeterministic), kDpo, first_only_K, 0);
  EXPECT_LT(found.value, 1e-3);
}

TEST(WeightedMinimum, RefusesCoefficientsThatWeighNothing) {
  for (const std::vector<double>& bad_K : {std::vector<double>{1}, {0, 0}, {-1, 2}, {std::nan(""), 1}}) {
    EXPECT_THROW(minimise_weighted_loss(pairs(), kDpo, bad_K, 0), std::invalid_argument);
  }
}

TEST(DualityGap, IsNotNegativeWhereverItIsTaken) {
  SplitMix64 random(2);
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<double> theta_D(4);
    for (double& value : theta_D) value = 4 * random.uniform() - 2;
    const double weight = random.uniform();
    const std::vector<double> weight_K = {weight, 1 - weight};
    EXPECT_GE(duality_gap(pairs(), kDpo, theta_D, weight_K, 1, 0).gap, 0);
    EXPECT_GE(duality_gap(pairs(), kIpo, theta_D, weight_K, 1, 5).gap, 0);
  }
}

// Proposition 4.1: the gap of the averaged iterates falls as T^-1/2 or faster.
TEST(DualityGap, OfTheAveragedIteratesFallsAsOneOverTheRootOfTheSteps) {
  EngineSettings settings;
  settings.loss = kDpo;
  settings.robust.mode = RobustMode::kGroupRobust;
  settings.robust.step_size = 0.05;
  settings.theta.learning_rate = 0.3;
  Engine engine(pairs(), kProblem.initial_theta_D, settings);
  std::vector<double> gaps;
  for (const std::int64_t steps : {100, 400, 1600, 6400, 25600}) {
    engine.run(steps - engine.steps());
    const DualityGap found =
        duality_gap(engine.matrix(), kDpo, engine.average_theta_D(), engine.average_weight_K(), 1, 0);
    EXPECT_TRUE(found.converged);
    gaps.push_back(found.gap);
  }
  EXPECT_LE(gaps.back(), gaps.front() / 16);  // 256 times the steps
}

}  // namespace duality_gap_test
}  // namespace equipoise::log_linear
