// One iteration of a log-linear job on one rank: common/log_linear/rank_step.h with the job's settings, batches,
// learning rate and weights.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/dataset/shard_plan.h"
#include "common/log_linear/rank_step.h"
#include "worker/log_linear/log_linear_data.h"
#include "worker/optimizer/learning_rate.h"

namespace equipoise {

log_linear::LossSettings pair_loss_settings(const LossConfig& loss);
// With each group's label noise, [K]. Throws std::invalid_argument where loss.label_noise names another group.
std::vector<log_linear::LossSettings> group_loss_settings(const LossConfig& loss,
                                                          std::span<const std::string> group_names);

// No memory is asked for in a step of a full batch.
class LogLinearStep {
 public:
  // All that is passed outlives it. In closed form it all-reduces the normal equations.
  LogLinearStep(const JobConfig& config, const LogLinearData& data, const ShardPlan& plan, HostCollective& host);

  // All ranks call it for the same step, one after the other. A step whose loss or gradient is not finite changes
  // neither theta nor alpha. Throws what its parts throw.
  void run(std::int64_t step, StepWeights& weights);
  // The largest group loss of an evaluation, for the schedule `plateau`; the same on every rank.
  void observe_evaluation(double worst_group_loss) { schedule_.observe(worst_group_loss); }
  void set_learning_rate(double learning_rate) { schedule_.set_learning_rate(learning_rate); }

  // Of the last step.
  const log_linear::StepSums& sums() const { return step_.sums(); }
  const GroupSums& group_sums() const { return step_.group_sums(); }
  // Number of pairs of each group in group_sums(), which n_g is but for stratified batches.
  const std::vector<double>& group_pairs() const { return step_.group_pairs(); }
  bool skipped() const { return step_.skipped(); }
  double loss() const { return step_.loss(); }            // sum_g c_g S_g, the value whose gradient was taken
  double grad_norm() const { return step_.grad_norm(); }  // of sum_g c_g G_g
  // After it.
  const log_linear::ThetaUpdate& theta() const { return step_.theta(); }
  double epochs_done(std::int64_t steps) const;

  // What a checkpoint keeps of the schedule; theta().state() is the rest.
  const ScheduleState& schedule() const { return schedule_.state(); }
  // Continues from both, bit by bit. Throws as ThetaUpdate.
  void restore(log_linear::ThetaState theta, const ScheduleState& schedule);

 private:
  const JobConfig& config_;
  const ShardPlan& plan_;
  HostCollective& host_;
  ShardCursor cursor_;
  log_linear::RankPairs pairs_;
  LearningRateSchedule schedule_;
  log_linear::RankStep step_;
};

}  // namespace equipoise
