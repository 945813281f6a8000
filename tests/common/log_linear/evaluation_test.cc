#include "common/log_linear/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "client/data/preference_generator.h"

namespace equipoise::log_linear {
namespace evaluation_test {

const Problem kProblem{FeatureMap::kFlipped, 4, {{1, 3}, {3, 1}}, {}};

std::vector<Preference> states() {
  return generate_preferences(kProblem, {Responses::kEven, Preferring::kDeterministic, {30, 30}, 4});
}

TEST(RewardEvaluator, GivesNoErrorToAThetaThatIsTheReward) {
  const Problem agreeing{FeatureMap::kSame, 4, {{1, 3}, {1, 3}}, {}};
  const RewardReport report = RewardEvaluator(agreeing, states()).report(agreeing.reward_KD[0]);
  EXPECT_EQ(report.max_reward_error, 0);
  EXPECT_EQ(report.group_reward_K, report.optimal_reward_K);
}

TEST(RewardEvaluator, TakesTheMostProbableActionOfEveryStateForEveryGroup) {
  const std::vector<double> theta_D = {-0.4, 1.5};
  const std::vector<Preference> test = states();
  const RewardReport report = RewardEvaluator(kProblem, test).report(theta_D);
  double worst = 0;
  for (std::uint32_t group = 0; group < 2; ++group) {
    double reward = 0, optimal = 0;
    for (const Preference& pair : test) {
      std::uint32_t most_probable = 0, best = 0;
      const auto worth = [&](std::uint32_t action) {
        return score(kProblem, pair.state, action, group, kProblem.reward_KD[group]);
      };
      for (std::uint32_t action = 1; action < 4; ++action) {
        if (score(kProblem, pair.state, action, group, theta_D) >
            score(kProblem, pair.state, most_probable, group, theta_D)) {
          most_probable = action;
        }
        if (worth(action) > worth(best)) best = action;
      }
      reward += worth(most_probable) / 60;
      optimal += worth(best) / 60;
    }
    EXPECT_NEAR(report.group_reward_K[group], reward, 1e-13);
    EXPECT_NEAR(report.reward_error_K[group], (optimal - reward) / optimal, 1e-13);
    worst = std::max(worst, (optimal - reward) / optimal);
  }
  EXPECT_NEAR(report.max_reward_error, worst, 1e-13);
}

TEST(RewardEvaluator, RefusesAnOptimalRewardOfZeroAndNoStates) {
  const Problem worthless{FeatureMap::kSame, 4, {{1, 3}, {0, 0}}, {}};
  EXPECT_THROW(RewardEvaluator(worthless, states()), std::invalid_argument);
  EXPECT_THROW(RewardEvaluator(kProblem, {}), std::invalid_argument);
}

TEST(GroupLossEvaluator, GivesLogTwoAtZero) {
  GroupLossEvaluator losses(make_pair_matrix(kProblem, states()), {PairLoss::kDpo, 1, 0});
  for (const double loss : losses.group_loss_K(std::vector<double>{0, 0})) EXPECT_NEAR(loss, std::log(2), 1e-15);
}

TEST(GroupLossEvaluator, RefusesAGroupWithoutPairs) {
  const std::vector<Preference> one = {{{0.5}, 0, 1, 2}};
  EXPECT_THROW(GroupLossEvaluator(make_pair_matrix(kProblem, one), {PairLoss::kDpo, 1, 0}), std::invalid_argument);
}

}  // namespace evaluation_test
}  // namespace equipoise::log_linear
