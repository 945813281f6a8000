#include "worker/evaluate/group_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace equipoise {
namespace {

TEST(GroupStatistics, OfWholePairsIsTheSamplesStandardError) {
  const std::vector<double> value_N = {1, 2, 4, 9}, weight_N(4, 1);
  const auto result = weighted_mean(value_N, weight_N);
  ASSERT_TRUE(result && result->error);
  EXPECT_DOUBLE_EQ(result->mean, 4);
  // Sum of squared deviations 9 + 4 + 0 + 25 = 38, over n (n - 1) = 12.
  EXPECT_DOUBLE_EQ(*result->error, std::sqrt(38.0 / 12));
}

TEST(GroupStatistics, DoesNotChangeWithTheUnitOfTheWeights) {
  const std::vector<double> value_N = {1, 2, 4, 9};
  const auto whole = weighted_mean(value_N, std::vector<double>(4, 1.0));
  const auto quarter = weighted_mean(value_N, std::vector<double>(4, 0.25));
  EXPECT_DOUBLE_EQ(quarter->mean, whole->mean);
  EXPECT_DOUBLE_EQ(*quarter->error, *whole->error);
}

TEST(GroupStatistics, WeighsPairsByMembership) {
  const auto result = weighted_mean(std::vector<double>{0, 1}, std::vector<double>{1, 0.5});
  const double mean = 0.5 / 1.5, pairs = 1.5 * 1.5 / 1.25;
  const double deviation = mean * mean + 0.25 * (1 - mean) * (1 - mean);
  EXPECT_DOUBLE_EQ(result->mean, mean);
  EXPECT_DOUBLE_EQ(*result->error, std::sqrt(pairs / (pairs - 1) * deviation) / 1.5);
}

TEST(GroupStatistics, LeavesOutWhatWeighsNothing) {
  const auto result = weighted_mean(std::vector<double>{3, NAN, 5}, std::vector<double>{1, 0, 1});
  EXPECT_DOUBLE_EQ(result->mean, 4);
  EXPECT_DOUBLE_EQ(*result->error, 1);
}

TEST(GroupStatistics, OnePairHasNoErrorAndNoPairNoMean) {
  const auto one = weighted_mean(std::vector<double>{3}, std::vector<double>{0.3});
  EXPECT_DOUBLE_EQ(one->mean, 3);
  EXPECT_FALSE(one->error.has_value());
  EXPECT_FALSE(weighted_mean({}, {}).has_value());
  EXPECT_FALSE(weighted_mean(std::vector<double>{3}, std::vector<double>{0}).has_value());
}

}  // namespace
}  // namespace equipoise
