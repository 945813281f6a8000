// The paper's two measures of a log-linear policy: the largest group loss and the largest reward error.
#pragma once

#include <span>
#include <vector>

#include "common/log_linear/pair_matrix.h"
#include "common/log_linear/preference.h"
#include "common/log_linear/problem.h"
#include "common/log_linear/step_sums.h"

namespace equipoise::log_linear {

// Mean loss of each group over fixed pairs. Not thread-safe.
class GroupLossEvaluator {
 public:
  // Throws std::invalid_argument if a group has no pairs.
  GroupLossEvaluator(const PairMatrix& matrix, LossSettings loss);

  std::vector<double> group_loss_K(std::span<const double> theta_D);  // [K]

 private:
  GroupedPairs pairs_;
  StepSums sums_;
};

struct RewardReport {
  std::vector<double> group_reward_K;    // mean reward of the policy's most probable action
  std::vector<double> optimal_reward_K;  // mean of the best action's reward
  std::vector<double> reward_error_K;    // (optimal - reward) / optimal
  double max_reward_error = 0;
};

// Rewards over fixed states, each of which is used for every group, whatever its own. The features of all states,
// actions and groups are computed once. Of equally probable actions the first is taken.
class RewardEvaluator {
 public:
  // Throws std::invalid_argument if there are no states or a group's optimal reward is 0, where the error has no
  // meaning.
  RewardEvaluator(const Problem& problem, std::span<const Preference> test);

  RewardReport report(std::span<const double> theta_D) const;

 private:
  std::size_t groups_;
  std::size_t states_;
  std::size_t actions_;
  std::size_t dim_;
  std::vector<double> phi_;     // [K, states, A, D]
  std::vector<double> reward_;  // [K, states, A]
  std::vector<double> optimal_reward_K_;
};

}  // namespace equipoise::log_linear
