// One iteration of a log-linear job on one rank:
//   this rank's pairs -> group sums -> all-reduce -> weights of the groups -> coefficients -> theta
// Source: Ramesh et al. 2024 (arXiv:2405.20304), Algorithms 1 and 2. common/log_linear/engine.h is the same in one
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/dataset/shard_plan.h"
#include "common/log_linear/group_sampler.h"
#include "common/log_linear/step_sums.h"
#include "common/log_linear/theta_update.h"
#include "worker/log_linear/log_linear_data.h"
#include "worker/log_linear/weight_sync.h"
#include "worker/optimizer/learning_rate.h"

namespace equipoise {

log_linear::LossSettings pair_loss_settings(const LossConfig& loss);
// With each group's label noise, [K]. Throws std::invalid_argument where loss.label_noise names another group.
std::vector<log_linear::LossSettings> group_loss_settings(const LossConfig& loss,
                                                          std::span<const std::string> group_names);

// theta is the same on every rank, bit by bit: it only depends on all-reduced sums and the weights. No memory is asked
// for in a step of a full batch.
class LogLinearStep {
 public:
  // All that is passed outlives it. In closed form it all-reduces the normal equations.
  LogLinearStep(const JobConfig& config, const LogLinearData& data, const ShardPlan& plan, Collective& host,
                WeightSync& weights);

  // All ranks call it for the same step, one after the other. A step whose loss or gradient is not finite changes
  // neither theta nor alpha. Throws what its parts throw.
  void run(std::int64_t step);
  // The largest group loss of an evaluation, for the schedule `plateau`; the same on every rank.
  void observe_evaluation(double worst_group_loss) { schedule_.observe(worst_group_loss); }

  // Of the last step.
  const log_linear::StepSums& sums() const { return sums_; }
  const GroupSums& group_sums() const { return group_sums_; }
  // Number of pairs of each group in group_sums(), which n_g is but for stratified batches.
  const std::vector<double>& group_pairs() const { return group_pairs_; }
  bool skipped() const { return !non_finite_.empty(); }
  double loss() const;       // sum_g c_g S_g, the value whose gradient was taken
  double grad_norm() const;  // of sum_g c_g G_g
  // After it.
  const log_linear::ThetaUpdate& theta() const { return theta_; }
  double epochs_done(std::int64_t steps) const;

 private:
  void take_pairs(std::int64_t step);
  void weigh_groups(std::int64_t step);
  void find_non_finite();
  void ask_for_weights(std::int64_t step);

  const JobConfig& config_;
  const LogLinearData& data_;
  const ShardPlan& plan_;
  Collective& host_;
  WeightSync& weights_;
  ShardCursor cursor_;
  std::optional<log_linear::GroupSampler> sampler_;
  std::vector<std::int64_t> batch_;
  log_linear::GroupedPairs pairs_;
  log_linear::StepSums sums_;
  LearningRateSchedule schedule_;
  log_linear::ThetaUpdate theta_;
  GroupSums group_sums_;
  std::vector<double> group_pairs_;
  GroupSums reported_sums_;  // as the owner of the weights is told
  std::vector<std::uint32_t> non_finite_;
  std::vector<double> weight_;
  std::vector<double> coefficient_;
};

}  // namespace equipoise
