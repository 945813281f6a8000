#include "worker/objective/group_sums.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace equipoise {
namespace group_sums_test {

// Pair 0 in group 0; pair 1 in groups 0 (half) and 2; pair 2 in group 2. Group 1 is absent.
class ThreePairs : public ::testing::Test {
 protected:
  const std::vector<Membership> first_ = {{0, 1.0}}, second_ = {{0, 0.5}, {2, 1.0}}, third_ = {{2, 1.0}};
  const std::vector<std::span<const Membership>> memberships_B_ = {first_, second_, third_};
  const std::vector<double> loss_B_ = {1, 2, 4};
  // S_g and n_g, by hand.
  const std::vector<double> loss_sum_K_ = {1 + 0.5 * 2, 0, 2 + 4}, pair_count_K_ = {1 + 0.5, 0, 1 + 1};
};

TEST_F(ThreePairs, LeaveAnAbsentGroupOut) {
  const GroupSums sums = present_groups(loss_sum_K_, pair_count_K_, 3);
  EXPECT_EQ(sums.group, (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(sums.loss_sum, (std::vector<double>{2, 6}));
  EXPECT_EQ(sums.pair_count, (std::vector<double>{1.5, 2}));
  EXPECT_EQ(sums.batch_pairs, 3);
}

TEST_F(ThreePairs, GetCoefficientsThatGiveBackTheWeightedGroupLosses) {
  const GroupSums sums = present_groups(loss_sum_K_, pair_count_K_, 3);
  const std::vector<double> weight = {0.25, 0.5}, scale = {1 / 1.5, 1 / 2.0};
  const auto c_B = pair_coefficients(memberships_B_, sums, weight, scale);
  double by_pair = 0, by_group = 0;
  for (std::size_t i = 0; i < 3; ++i) by_pair += c_B[i] * loss_B_[i];
  for (std::size_t g = 0; g < 2; ++g) by_group += weight[g] * scale[g] * sums.loss_sum[g];
  EXPECT_DOUBLE_EQ(by_pair, by_group);
  EXPECT_DOUBLE_EQ(c_B[1], 0.25 / 1.5 * 0.5 + 0.5 / 2);
}

TEST_F(ThreePairs, GetNoCoefficientFromAGroupThatIsNotInTheSums) {
  const GroupSums sums{.group = {2}, .loss_sum = {6}, .pair_count = {2}, .batch_pairs = 3};
  EXPECT_EQ(pair_coefficients(memberships_B_, sums, std::vector{1.0}, std::vector{0.5}),
            (std::vector<double>{0, 0.5, 0.5}));
}

TEST(WeightedMean, OfWholePairsIsTheSamplesStandardError) {
  const std::vector<double> value_N = {1, 2, 4, 9}, weight_N(4, 1);
  const auto result = weighted_mean(value_N, weight_N);
  ASSERT_TRUE(result && result->error);
  EXPECT_DOUBLE_EQ(result->mean, 4);
  // Sum of squared deviations 9 + 4 + 0 + 25 = 38, over n (n - 1) = 12.
  EXPECT_DOUBLE_EQ(*result->error, std::sqrt(38.0 / 12));
}

TEST(WeightedMean, DoesNotChangeWithTheUnitOfTheWeights) {
  const std::vector<double> value_N = {1, 2, 4, 9};
  const auto whole = weighted_mean(value_N, std::vector<double>(4, 1.0));
  const auto quarter = weighted_mean(value_N, std::vector<double>(4, 0.25));
  EXPECT_DOUBLE_EQ(quarter->mean, whole->mean);
  EXPECT_DOUBLE_EQ(*quarter->error, *whole->error);
}

TEST(WeightedMean, WeighsPairsByMembership) {
  const auto result = weighted_mean(std::vector<double>{0, 1}, std::vector<double>{1, 0.5});
  const double mean = 0.5 / 1.5, pairs = 1.5 * 1.5 / 1.25;
  const double deviation = mean * mean + 0.25 * (1 - mean) * (1 - mean);
  EXPECT_DOUBLE_EQ(result->mean, mean);
  EXPECT_DOUBLE_EQ(*result->error, std::sqrt(pairs / (pairs - 1) * deviation) / 1.5);
}

TEST(WeightedMean, LeavesOutWhatWeighsNothing) {
  const auto result = weighted_mean(std::vector<double>{3, NAN, 5}, std::vector<double>{1, 0, 1});
  EXPECT_DOUBLE_EQ(result->mean, 4);
  EXPECT_DOUBLE_EQ(*result->error, 1);
}

TEST(WeightedMean, OnePairHasNoErrorAndNoPairNoMean) {
  const auto one = weighted_mean(std::vector<double>{3}, std::vector<double>{0.3});
  EXPECT_DOUBLE_EQ(one->mean, 3);
  EXPECT_FALSE(one->error.has_value());
  EXPECT_FALSE(weighted_mean({}, {}).has_value());
  EXPECT_FALSE(weighted_mean(std::vector<double>{3}, std::vector<double>{0}).has_value());
}

// Log-probabilities of -1000 that differ by 1e-6: the squares of the values would have lost the spread.
TEST(WeightedMean, KeepsASmallSpreadOfLargeValues) {
  std::vector<double> value_N, weight_N;
  for (int i = 0; i < 1000; ++i) {
    value_N.push_back(-1000 + (i % 2 == 0 ? 1e-6 : -1e-6));
    weight_N.push_back(1);
  }
  EXPECT_NEAR(*weighted_mean(value_N, weight_N)->error, 1e-6 / std::sqrt(999), 1e-12);
}

TEST(WeightedSpread, OfPartsAddsUpToThatOfTheWhole) {
  const std::vector<double> value_N = {-1000, -1001, -1000.5, -999, -1002}, weight_N = {1, 0.5, 2, 0, 0.25};
  WeightedSpread whole, first, rest, none;
  double weight = 0, sum = 0;
  for (std::size_t i = 0; i < value_N.size(); ++i) {
    whole.add(value_N[i], weight_N[i]);
    (i < 2 ? first : rest).add(value_N[i], weight_N[i]);
    weight += weight_N[i];
    sum += weight_N[i] * value_N[i];
  }
  const double mean = sum / weight;
  double direct = 0;
  for (std::size_t i = 0; i < value_N.size(); ++i) direct += std::pow(weight_N[i] * (value_N[i] - mean), 2);
  EXPECT_NEAR(whole.about(mean), direct, 1e-12);
  EXPECT_NEAR(first.about(mean) + rest.about(mean) + none.about(mean), direct, 1e-12);
  EXPECT_DOUBLE_EQ(first.weight_squared() + rest.weight_squared(), whole.weight_squared());
}

TEST(WeightedSpread, OfWhatIsNotFiniteGivesNoError) {
  WeightedSpread spread;
  spread.add(1, 1);
  spread.add(INFINITY, 1);
  EXPECT_FALSE(standard_error({.weight = 2, .weight_squared = 2, .spread = spread.about(INFINITY)}).has_value());
}

}  // namespace group_sums_test
}  // namespace equipoise
