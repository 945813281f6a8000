#include "common/log_linear/evaluation.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

namespace equipoise::log_linear {
namespace {

double dot(const double* a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t j = 0; j < b.size(); ++j) sum += a[j] * b[j];
  return sum;
}

}  // namespace

GroupLossEvaluator::GroupLossEvaluator(const PairMatrix& matrix, LossSettings loss)
    : sums_(loss, matrix.groups, matrix.dim) {
  check_loss(loss);
  const std::vector<double> count_K = matrix.group_counts();
  for (std::size_t g = 0; g < count_K.size(); ++g) {
    if (count_K[g] == 0) throw std::invalid_argument("group " + std::to_string(g) + " has no pairs to evaluate on");
  }
  pairs_.assign(matrix, PairRange{0, matrix.pairs()});
}

std::vector<double> GroupLossEvaluator::group_loss_K(std::span<const double> theta_D) {
  sums_.assign(pairs_, theta_D);
  std::vector<double> loss_K(sums_.groups());
  for (std::size_t g = 0; g < loss_K.size(); ++g) loss_K[g] = sums_.loss_sum(g) / sums_.pair_count(g);
  return loss_K;
}

RewardEvaluator::RewardEvaluator(const Problem& problem, std::span<const Preference> test)
    : groups_(problem.groups()),
      states_(test.size()),
      actions_(problem.actions),
      dim_(problem.features_dim()),
      phi_(groups_ * states_ * actions_ * dim_),
      reward_(groups_ * states_ * actions_),
      optimal_reward_K_(groups_, 0.0) {
  if (test.empty()) throw std::invalid_argument("there are no test states, expected at least one");
  std::size_t row = 0;
  for (std::uint32_t group = 0; group < groups_; ++group) {
    for (const Preference& pair : test) {
      double best = -std::numeric_limits<double>::infinity();
      for (std::uint32_t action = 0; action < actions_; ++action, ++row) {
        write_features(problem, pair.state, action, group, std::span(phi_).subspan(row * dim_, dim_));
        reward_[row] = dot(phi_.data() + row * dim_, problem.reward_KD[group]);
        best = std::max(best, reward_[row]);
      }
      optimal_reward_K_[group] += best;
    }
    optimal_reward_K_[group] /= static_cast<double>(states_);
    if (optimal_reward_K_[group] == 0) {
      throw std::invalid_argument("the optimal reward of group " + std::to_string(group) +
                                  " is 0: its reward error has no meaning, give another reward vector");
    }
  }
}

RewardReport RewardEvaluator::report(std::span<const double> theta_D) const {
  RewardReport report{std::vector<double>(groups_, 0.0), optimal_reward_K_, std::vector<double>(groups_, 0.0),
                      -std::numeric_limits<double>::infinity()};
  const double* phi = phi_.data();
  const double* reward = reward_.data();
  for (std::size_t group = 0; group < groups_; ++group) {
    double sum = 0;
    for (std::size_t state = 0; state < states_; ++state, reward += actions_) {
      double best_score = -std::numeric_limits<double>::infinity();
      std::size_t best = 0;
      for (std::size_t action = 0; action < actions_; ++action, phi += dim_) {
        const double action_score = dot(phi, theta_D);
        if (action_score > best_score) best = action;
        best_score = std::max(best_score, action_score);
      }
      sum += reward[best];
    }
    report.group_reward_K[group] = sum / static_cast<double>(states_);
    const double optimal = optimal_reward_K_[group];
    report.reward_error_K[group] = (optimal - report.group_reward_K[group]) / optimal;
    report.max_reward_error = std::max(report.max_reward_error, report.reward_error_K[group]);
  }
  return report;
}

}  // namespace equipoise::log_linear
