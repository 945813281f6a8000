#include "common/log_linear/closed_form.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "client/data/preference_generator.h"
#include "common/log_linear/step_sums.h"

namespace equipoise::log_linear {
namespace closed_form_test {

const Problem kProblem{FeatureMap::kSwapped, 8, {{1, 3, 1, 3}, {3, 1, 3, 1}}, {}};
const std::vector<std::uint32_t> kBothGroups = {0, 1};

PairMatrix matrix_of(std::vector<std::uint64_t> sizes_K) {
  return make_pair_matrix(
      kProblem, generate_preferences(kProblem, {Responses::kEven, Preferring::kDeterministic, std::move(sizes_K), 2}));
}

TEST(NormalEquations, GiveTheThetaWhereTheWeightedGradientIsMinusTheRidges) {
  const PairMatrix matrix = matrix_of({20, 50});
  const std::vector<double> coefficient = {0.04, 0.01};
  for (const double ridge : {0.0, 0.5}) {
    std::vector<double> theta_D(4);
    NormalEquations(matrix, {0, matrix.pairs()}).solve(kBothGroups, coefficient, 0.1, ridge, theta_D);
    GroupedPairs pairs;
    pairs.assign(matrix, PairRange{0, matrix.pairs()});
    StepSums sums({PairLoss::kIpo, 0.1, 0}, 2, 4);
    sums.assign(pairs, theta_D);
    for (std::size_t j = 0; j < 4; ++j) {
      const double gradient = coefficient[0] * sums.gradient_sum(0)[j] + coefficient[1] * sums.gradient_sum(1)[j];
      EXPECT_NEAR(gradient + 2 * ridge * theta_D[j], 0, 1e-10);
    }
  }
}

TEST(NormalEquations, WithLabelNoiseGiveTheMinimumOfTheCorrectedLoss) {
  const PairMatrix matrix = matrix_of({20, 50});
  const std::vector<double> coefficient = {0.04, 0.01}, noise_K = {0, 0.3};
  NormalEquations equations(matrix, {0, matrix.pairs()});
  equations.scale_targets(std::vector<double>{1, 1 / (1 - 2 * noise_K[1])});
  std::vector<double> theta_D(4);
  equations.solve(kBothGroups, coefficient, 0.1, 0, theta_D);
  GroupedPairs pairs;
  pairs.assign(matrix, PairRange{0, matrix.pairs()});
  std::vector<LossSettings> loss_K;
  for (const double noise : noise_K) loss_K.push_back({.type = PairLoss::kIpo, .beta = 0.1, .label_noise = noise});
  StepSums sums(loss_K, 4);
  sums.assign(pairs, theta_D);
  for (std::size_t j = 0; j < 4; ++j) {
    EXPECT_NEAR(coefficient[0] * sums.gradient_sum(0)[j] + coefficient[1] * sums.gradient_sum(1)[j], 0, 1e-10);
  }
}

TEST(NormalEquations, OfSlicesAddUp) {
  const PairMatrix matrix = matrix_of({20, 50});
  NormalEquations all(matrix, {0, 70}), first(matrix, {0, 30});
  NormalEquations second(matrix, {30, 70});
  for (std::size_t i = 0; i < all.values().size(); ++i) {
    EXPECT_NEAR(first.values()[i] + second.values()[i], all.values()[i], 1e-12);
  }
}

TEST(NormalEquations, NeedARidgeWhereThePairsDoNotDetermineTheta) {
  const PairMatrix matrix = matrix_of({1, 1});  // two rows, four unknowns
  NormalEquations equations(matrix, {0, 2});
  std::vector<double> theta_D = {1, 2, 3, 4};
  const std::vector<double> coefficient = {1, 1};
  EXPECT_THROW(equations.solve(kBothGroups, coefficient, 0.1, 0, theta_D), std::invalid_argument);
  EXPECT_EQ(theta_D, (std::vector<double>{1, 2, 3, 4}));
  EXPECT_NO_THROW(equations.solve(kBothGroups, coefficient, 0.1, 1e-3, theta_D));
}

TEST(SolvePositiveDefinite, SolvesWithTheLowerTriangleAlone) {
  // [4 2; 2 3] y = [8; 8] has y = [1; 2]; 99 stands in the part that is not read.
  std::vector<double> system = {4, 99, 8, 2, 3, 8};
  ASSERT_TRUE(solve_positive_definite(system, 2));
  EXPECT_NEAR(system[2], 1, 1e-15);
  EXPECT_NEAR(system[5], 2, 1e-15);
}

TEST(SolvePositiveDefinite, SaysNoToAMatrixThatIsNotPositiveDefinite) {
  std::vector<double> indefinite = {1, 0, 0, 2, 1, 0};
  EXPECT_FALSE(solve_positive_definite(indefinite, 2));
  std::vector<double> singular = {0.1, 0, 0, 0.3, 0.9, 0};  // rank 1 up to rounding
  EXPECT_FALSE(solve_positive_definite(singular, 2));
}

}  // namespace closed_form_test
}  // namespace equipoise::log_linear
