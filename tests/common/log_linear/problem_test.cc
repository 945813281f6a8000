#include "common/log_linear/problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

namespace equipoise::log_linear {
namespace problem_test {

constexpr double kRounding = 1e-15;

Problem problem_of(FeatureMap features) { return {features, 8, {{1, 3, 1, 3}, {3, 1, 3, 1}, {1, 1, 1, 1}}, {}}; }

std::vector<double> features(const Problem& problem, std::uint32_t group) {
  const std::vector<double> state = {0.3, 0.8};
  std::vector<double> phi_D(4);
  write_features(problem, state, 2, group, phi_D);
  return phi_D;
}

// c_a of action 2 of 8, and the angles of the state above.
constexpr double kScale = 1.25;
const double kCos0 = std::cos(0.3 * std::numbers::pi), kSin0 = std::sin(0.3 * std::numbers::pi);
const double kCos1 = std::cos(0.8 * std::numbers::pi), kSin1 = std::sin(0.8 * std::numbers::pi);

void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
  for (std::size_t j = 0; j < expected.size(); ++j) EXPECT_NEAR(found[j], expected[j], kRounding) << j;
}

TEST(Features, OfEvenGroupsAreTheSameInEveryMap) {
  for (const FeatureMap map : {FeatureMap::kSame, FeatureMap::kSwapped, FeatureMap::kFlipped}) {
    for (const std::uint32_t group : {0u, 2u}) {
      expect_near(features(problem_of(map), group), {kScale * kCos0, kSin0 / kScale, kScale * kCos1, kSin1 / kScale});
    }
  }
}

TEST(Features, OfOddGroupsFollowTheMap) {
  expect_near(features(problem_of(FeatureMap::kSame), 1),
              {kScale * kCos0, kSin0 / kScale, kScale * kCos1, kSin1 / kScale});
  expect_near(features(problem_of(FeatureMap::kSwapped), 1),
              {kSin0 / kScale, kScale * kCos0, kSin1 / kScale, kScale * kCos1});
  expect_near(features(problem_of(FeatureMap::kFlipped), 1),
              {kScale * kSin0, kCos0 / kScale, kScale * kSin1, kCos1 / kScale});
}

TEST(Score, IsTheInnerProductOfFeaturesAndWeights) {
  const Problem problem = problem_of(FeatureMap::kFlipped);
  const std::vector<double> phi_D = features(problem, 1);
  const std::vector<double> weight_D = {1, -2, 0.5, 4};
  const double expected = phi_D[0] - 2 * phi_D[1] + 0.5 * phi_D[2] + 4 * phi_D[3];
  EXPECT_NEAR(score(problem, std::vector<double>{0.3, 0.8}, 2, 1, weight_D), expected, kRounding * 8);
}

TEST(FeatureMapName, ReadsBack) {
  for (const FeatureMap map : {FeatureMap::kSame, FeatureMap::kSwapped, FeatureMap::kFlipped}) {
    EXPECT_EQ(parse_feature_map(feature_map_name(map)), map);
  }
  EXPECT_THROW(parse_feature_map("Swapped"), std::invalid_argument);
}

// The message of the refusal, or "" if the problem is taken.
std::string refusal(const Problem& problem) {
  try {
    check_problem(problem);
    return "";
  } catch (const std::invalid_argument& refused) {
    return refused.what();
  }
}

TEST(CheckProblem, NamesTheFieldThatIsWrong) {
  const Problem good = problem_of(FeatureMap::kSame);
  EXPECT_EQ(refusal(good), "");
  Problem bad = good;
  bad.actions = 1;
  EXPECT_THAT(refusal(bad), testing::HasSubstr("policy.log_linear.actions is 1, expected 2 to"));
  bad = good;
  bad.reward_KD.clear();
  EXPECT_THAT(refusal(bad), testing::HasSubstr("policy.log_linear.reward is empty"));
  bad = good;
  bad.reward_KD = {{1, 2, 3}};
  EXPECT_THAT(refusal(bad), testing::HasSubstr("reward[0] is of length 3, expected an even length"));
  bad = good;
  bad.reward_KD[1].pop_back();
  EXPECT_THAT(refusal(bad), testing::HasSubstr("reward[1] is of length 3, expected 4"));
  bad = good;
  bad.reward_KD[2][1] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(refusal(bad), testing::HasSubstr("reward[2][1] is not finite"));
  bad = good;
  bad.initial_theta_D = {1};
  EXPECT_THAT(refusal(bad), testing::HasSubstr("initial_theta is of length 1, expected 4"));
}

}  // namespace problem_test
}  // namespace equipoise::log_linear
