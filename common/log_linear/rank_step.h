// One iteration of a log-linear policy on one rank, whether there are others or not and whoever owns alpha:
//   this rank's pairs -> group sums -> all-reduce -> weights of the groups -> coefficients -> theta
// Source: Ramesh et al. 2024 (arXiv:2405.20304), Algorithms 1 and 2.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "common/collective/host_collective.h"
#include "common/log_linear/rank_pairs.h"
#include "common/log_linear/step_sums.h"
#include "common/log_linear/theta_update.h"
#include "common/robust/step_weights.h"

namespace equipoise::log_linear {

struct StepSettings {
  std::vector<LossSettings> loss_K;  // each group's: they differ in label_noise alone
  RobustSettings robust;             // counted_K and counted_pairs as estimator_sizes() takes them
  ThetaSettings theta;
  // N_g and N of the population that the groups' sizes are given of; empty: as counted in the matrix.
  std::vector<double> pair_count_K;
  double num_pairs = 0;
};

// What a step works with, besides its own state.
struct StepParts {
  RankPairs& pairs;
  HostCollective& host;
  StepWeights& weights;
};

// theta is the same on every rank, bit by bit: it only depends on all-reduced sums and the weights. Not thread-safe.
class RankStep {
 public:
  // In closed form all ranks add up their normal equations over `host`.
  //   initial_theta_D  [D]; empty: zeros
  // Throws std::invalid_argument on settings out of their range, a theta of another length, no group.
  RankStep(StepSettings settings, const PairMatrix& matrix, std::vector<double> initial_theta_D, HostCollective& host);

  // All ranks call it for the same step, one after the other. A step whose loss or gradient is not finite changes
  // neither theta nor alpha. Asks for no memory where its parts do not. Throws what its parts throw.
  void run(std::int64_t step, const StepParts& parts);

  // From now on the learning rate is multiplied by this, >= 0: the schedule of a job.
  void set_rate_factor(double factor) { theta_.set_rate_factor(factor); }

  // Of the last step.
  const StepSums& sums() const { return sums_; }
  const GroupSums& group_sums() const { return group_sums_; }  // loss_sum 0 of a group that is not finite
  // Number of pairs of each group in group_sums(), which n_g is but for weighted batches.
  const std::vector<double>& group_pairs() const { return is_weighted_ ? group_pairs_ : group_sums_.pair_count; }
  std::span<const double> weight() const { return weight_; }  // w_g, in the order of group_sums()
  bool skipped() const { return !non_finite_.empty(); }
  double loss() const;       // sum_g c_g S_g, the value whose gradient was taken
  double grad_norm() const;  // of sum_g c_g G_g
  // After it.
  const ThetaUpdate& theta() const { return theta_; }
  // Continues from a recorded state, bit by bit. Throws as ThetaUpdate.
  void restore(ThetaState state) { theta_.restore(std::move(state)); }

 private:
  void sum_batch(std::int64_t step, const StepParts& parts);
  void weigh_groups(std::int64_t step, RankPairs& pairs);
  void find_non_finite();
  const GroupSums& reported();

  StepSettings settings_;
  StepSums sums_;
  ThetaUpdate theta_;
  GroupSums group_sums_;
  bool is_weighted_ = false;
  std::vector<double> group_pairs_;
  GroupSums reported_sums_;  // as the owner of the weights is told, where that differs
  std::vector<std::uint32_t> non_finite_;
  std::vector<double> weight_;
  std::vector<double> coefficient_;
};

}  // namespace equipoise::log_linear
