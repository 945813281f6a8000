#include "common/log_linear/step_sums.h"

#include <gtest/gtest.h>

#include <cmath>

#include "client/data/preference_generator.h"

namespace equipoise::log_linear {
namespace step_sums_test {

const Problem kProblem{FeatureMap::kSwapped, 8, {{1, 3, 1, 3}, {3, 1, 3, 1}, {1, 1, 1, 1}}, {}};
const std::vector<double> kTheta = {1, -0.5, 0.25, 2};
const LossSettings kDpo{PairLoss::kDpo, 0.8, 0.05};

PairMatrix matrix_of(std::vector<std::uint64_t> sizes_K) {
  return make_pair_matrix(
      kProblem, generate_preferences(kProblem, {Responses::kEven, Preferring::kBradleyTerry, std::move(sizes_K), 9}));
}

StepSums sums_of(const PairMatrix& matrix, PairRange range, const LossSettings& loss,
                 std::span<const double> theta_D = kTheta) {
  GroupedPairs pairs;
  pairs.assign(matrix, range);
  StepSums sums(loss, matrix.groups, matrix.dim);
  sums.assign(pairs, theta_D);
  return sums;
}

TEST(StepSums, OfSlicesAddUpToTheSumsOfAll) {
  const PairMatrix matrix = matrix_of({17, 5, 40});
  const StepSums all = sums_of(matrix, {0, matrix.pairs()}, kDpo);
  for (const std::size_t slices : {2u, 4u, 7u, 100u}) {  // some slices of the last are empty
    std::vector<double> added(all.values().size(), 0.0);
    for (std::size_t slice = 0; slice < slices; ++slice) {
      const StepSums part = sums_of(matrix, slice_of(matrix.pairs(), slice, slices), kDpo);
      for (std::size_t i = 0; i < added.size(); ++i) added[i] += part.values()[i];
    }
    for (std::size_t i = 0; i < added.size(); ++i) EXPECT_NEAR(added[i], all.values()[i], 1e-12);
  }
}

TEST(StepSums, TakeEachGroupsOwnLoss) {
  const PairMatrix matrix = matrix_of({17, 5, 40});
  std::vector<LossSettings> loss_K(3, kDpo);
  loss_K[1].label_noise = 0.3;
  GroupedPairs pairs;
  pairs.assign(matrix, PairRange{0, matrix.pairs()});
  StepSums sums(loss_K, matrix.dim);
  sums.assign(pairs, kTheta);
  for (std::size_t g = 0; g < 3; ++g) {
    EXPECT_EQ(sums.loss_sum(g), sums_of(matrix, {0, matrix.pairs()}, loss_K[g]).loss_sum(g));
  }
  EXPECT_NE(sums.loss_sum(1), sums_of(matrix, {0, matrix.pairs()}, kDpo).loss_sum(1));
}

TEST(StepSums, GradientIsTheDerivativeOfTheLossSum) {
  const PairMatrix matrix = matrix_of({9, 6, 3});
  constexpr double kStep = 1e-6;  // central differences: error of the order of its square
  for (const LossSettings& loss : {kDpo, LossSettings{PairLoss::kIpo, 0.3, 0}}) {
    const StepSums at = sums_of(matrix, {0, matrix.pairs()}, loss);
    for (std::size_t j = 0; j < kTheta.size(); ++j) {
      std::vector<double> above = kTheta, below = kTheta;
      above[j] += kStep;
      below[j] -= kStep;
      const StepSums high = sums_of(matrix, {0, matrix.pairs()}, loss, above);
      const StepSums low = sums_of(matrix, {0, matrix.pairs()}, loss, below);
      for (std::size_t g = 0; g < 3; ++g) {
        EXPECT_NEAR(at.gradient_sum(g)[j], (high.loss_sum(g) - low.loss_sum(g)) / (2 * kStep), 1e-6);
      }
    }
  }
}

TEST(StepSums, TellTheOwnerOfTheWeightsOfTheGroupsPresent) {
  const PairMatrix matrix = matrix_of({4, 0, 2});
  GroupSums sums;
  sums.group = {7};  // what is replaced
  sums_of(matrix, {0, matrix.pairs()}, kDpo).write_group_sums(sums);
  EXPECT_EQ(sums.group, (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(sums.pair_count, (std::vector<double>{4, 2}));
  EXPECT_EQ(sums.loss_sum.size(), 2u);
  EXPECT_EQ(sums.batch_pairs, 6);
}

TEST(GradientCoefficients, AreWeightTimesScaleOrOneOverTheBatch) {
  const GroupSums sums{{0, 1}, {3, 4}, {2, 6}, 8};
  const std::vector<double> count_K = {20, 30}, weight = {0.25, 0.75};
  std::vector<double> coefficient(2);
  RobustSettings robust;
  gradient_coefficients(robust, sums, count_K, 50, weight, coefficient);
  EXPECT_EQ(coefficient, (std::vector<double>{1.0 / 8, 1.0 / 8}));
  robust.mode = RobustMode::kGroupRobust;
  gradient_coefficients(robust, sums, count_K, 50, weight, coefficient);
  // Unbiased: N / N_g / |B|, where the groups' shares of the batch are not those of the data.
  EXPECT_EQ(coefficient, (std::vector<double>{0.25 * (50.0 / 20 / 8), 0.75 * (50.0 / 30 / 8)}));
  robust.estimator = Estimator::kBatchMean;
  gradient_coefficients(robust, sums, count_K, 50, weight, coefficient);
  EXPECT_EQ(coefficient, (std::vector<double>{0.25 / 2, 0.75 / 6}));
  robust.estimator = Estimator::kBatchSum;
  gradient_coefficients(robust, sums, count_K, 50, weight, coefficient);
  EXPECT_EQ(coefficient, (std::vector<double>{0.25 / 8, 0.75 / 8}));
}

}  // namespace step_sums_test
}  // namespace equipoise::log_linear
