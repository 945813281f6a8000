#include "client/data/preference_generator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <stdexcept>

namespace equipoise::log_linear {
namespace preference_generator_test {

const Problem kProblem{FeatureMap::kSwapped, 8, {{1, 3, 1, 3}, {3, 1, 3, 1}, {2, 2, 2, 2}}, {}};

std::vector<Preference> generate(Responses responses, Preferring preferring, std::vector<std::uint64_t> sizes_K,
                                 std::uint64_t seed = 1) {
  return generate_preferences(kProblem, {responses, preferring, std::move(sizes_K), seed});
}

double reward(const Preference& pair, std::uint32_t action) {
  return score(kProblem, pair.state, action, pair.group, kProblem.reward_KD[pair.group]);
}

TEST(PreferenceGenerator, DrawsEachGroupsSizeInMixedOrder) {
  const auto pairs = generate(Responses::kEven, Preferring::kDeterministic, {60, 240, 0});
  std::map<std::uint32_t, int> count, in_first_half;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    ++count[pairs[i].group];
    if (i < pairs.size() / 2) ++in_first_half[pairs[i].group];
  }
  EXPECT_EQ(count[0], 60);
  EXPECT_EQ(count[1], 240);
  EXPECT_EQ(count[2], 0);
  EXPECT_GT(in_first_half[0], 10);  // 30 expected, standard deviation 3.5
  EXPECT_LT(in_first_half[0], 50);
}

TEST(PreferenceGenerator, StatesAreInTheUnitCube) {
  double sum = 0;
  for (const Preference& pair : generate(Responses::kEven, Preferring::kDeterministic, {5000, 0, 0})) {
    ASSERT_EQ(pair.state.size(), 2u);
    for (const double coordinate : pair.state) {
      EXPECT_GE(coordinate, 0);
      EXPECT_LT(coordinate, 1);
      sum += coordinate;
    }
  }
  EXPECT_NEAR(sum / 10000, 0.5, 5 * std::sqrt(1.0 / 12 / 10000));  // five standard errors
}

TEST(PreferenceGenerator, DeterministicPreferencesChooseTheLargerReward) {
  for (const Preference& pair : generate(Responses::kEven, Preferring::kDeterministic, {200, 200, 200})) {
    EXPECT_GE(reward(pair, pair.chosen), reward(pair, pair.rejected));
  }
}

TEST(PreferenceGenerator, BradleyTerryPreferencesFollowTheSigmoidOfTheRewardDifference) {
  // E[chosen one is better] - E[sigmoid(|difference|)] is 0, with a variance of at most 1/4 per pair.
  const auto pairs = generate(Responses::kEven, Preferring::kBradleyTerry, {20000, 0, 0});
  double excess = 0;
  for (const Preference& pair : pairs) {
    const double difference = reward(pair, pair.chosen) - reward(pair, pair.rejected);
    excess += (difference > 0 ? 1 : 0) - 1 / (1 + std::exp(-std::abs(difference)));
  }
  const double n = static_cast<double>(pairs.size());
  EXPECT_NEAR(excess / n, 0, 5 * 0.5 / std::sqrt(n));
}

TEST(PreferenceGenerator, EvenResponsesUseEveryOrderedPairOfActions) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, int> seen;
  for (const Preference& pair : generate(Responses::kEven, Preferring::kDeterministic, {4000, 0, 0})) {
    EXPECT_NE(pair.chosen, pair.rejected);
    ++seen[{std::min(pair.chosen, pair.rejected), std::max(pair.chosen, pair.rejected)}];
  }
  EXPECT_EQ(seen.size(), 28u);                                                    // 8 * 7 / 2
  for (const auto& [actions, count] : seen) EXPECT_NEAR(count, 4000.0 / 28, 60);  // five standard deviations
}

TEST(PreferenceGenerator, UnevenResponsesAreNeighboursInEvenGroupsAndHalfTheActionsApartInOddOnes) {
  for (const Preference& pair : generate(Responses::kUneven, Preferring::kDeterministic, {500, 500, 500})) {
    const int distance = std::abs(static_cast<int>(pair.chosen) - static_cast<int>(pair.rejected));
    EXPECT_EQ(distance, pair.group % 2 == 0 ? 1 : 4);
  }
}

TEST(PreferenceGenerator, TheSeedDecidesEverything) {
  const auto first = generate(Responses::kUneven, Preferring::kBradleyTerry, {30, 30, 30}, 7);
  const auto again = generate(Responses::kUneven, Preferring::kBradleyTerry, {30, 30, 30}, 7);
  const auto other = generate(Responses::kUneven, Preferring::kBradleyTerry, {30, 30, 30}, 8);
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].state, again[i].state);
    EXPECT_EQ(first[i].chosen, again[i].chosen);
    EXPECT_NE(first[i].state, other[i].state);
  }
}

TEST(PreferenceGenerator, RefusesSizesThatDoNotFitTheGroups) {
  EXPECT_THROW(generate(Responses::kEven, Preferring::kDeterministic, {1, 1}), std::invalid_argument);
  EXPECT_THROW(generate(Responses::kEven, Preferring::kDeterministic, {0, 0, 0}), std::invalid_argument);
  EXPECT_THROW(generate(Responses::kEven, Preferring::kDeterministic, {1ull << 63, 1ull << 63, 1}),
               std::invalid_argument);
}

TEST(DrawTheta, IsUniformBelowTheLimit) {
  double sum = 0;
  for (const double value : draw_theta(10000, 5, 3)) {
    EXPECT_GE(value, 0);
    EXPECT_LT(value, 5);
    sum += value;
  }
  EXPECT_NEAR(sum / 10000, 2.5, 5 * 5 / std::sqrt(12.0 * 10000));  // five standard errors
}

}  // namespace preference_generator_test
}  // namespace equipoise::log_linear
