// The whole algorithm in one thread, for experiments that need no service: the same parts in the same order as a
// distributed job, with the group weights at hand instead of a message away.
//
//   pairs -> group sums -> weights of the groups -> coefficients -> theta
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/log_linear/group_sampler.h"
#include "common/log_linear/pair_matrix.h"
#include "common/robust/step_schedule.h"
#include "common/log_linear/step_sums.h"
#include "common/log_linear/theta_update.h"
#include "common/robust/group_weights.h"

namespace equipoise::log_linear {

enum class Sampling { kFullBatch, kOneGroup };

struct EngineSettings {
  LossSettings loss;
  RobustSettings robust;
  ThetaSettings theta;
  PlateauSettings alpha_plateau;  // of robust.step_size, observing the largest group loss
  Sampling sampling = Sampling::kFullBatch;
  std::size_t batch_pairs = 1;  // kOneGroup: pairs of a step, >= 1
  std::uint64_t seed = 0;       // kOneGroup
  std::size_t slices = 1;       // parts the batch is summed in, as W ranks would; >= 1
};

// Asks for no memory and makes no system call in step(). Not thread-safe.
class Engine {
 public:
  // Throws std::invalid_argument on settings out of their range or a group without pairs.
  Engine(PairMatrix matrix, std::vector<double> initial_theta_D, EngineSettings settings);

  // One iteration. A step whose loss or gradient is not finite changes nothing and is counted in skipped_steps().
  // Throws std::invalid_argument as NormalEquations::solve.
  void step();
  void run(std::int64_t steps);

  std::int64_t steps() const { return steps_; }
  std::int64_t skipped_steps() const { return skipped_steps_; }
  std::span<const double> theta_D() const { return theta_.theta_D(); }
  std::span<const double> average_theta_D() const { return theta_.average_D(); }
  // [K]. Mode none learns no weights: uniform, as the paper's program reports it.
  std::vector<double> alpha_K() const;
  // [K], mean over the steps of the w_g that the gradient used: the dual iterate of the duality gap.
  std::span<const double> average_weight_K() const { return average_weight_K_; }
  // Of the last step, at the theta before it, the one that entered alpha.
  const GroupSums& group_sums() const { return group_sums_; }
  double alpha_step_size() const { return alpha_schedule_.step_size(); }
  const PairMatrix& matrix() const { return matrix_; }

 private:
  void sum_batch();
  bool finite() const;
  void observe();
  void average_weights();

  PairMatrix matrix_;
  EngineSettings settings_;
  std::vector<double> group_count_K_;
  GroupWeights weights_;
  ThetaUpdate theta_;
  StepSchedule alpha_schedule_;
  std::optional<GroupSampler> sampler_;
  std::vector<GroupedPairs> slices_;
  StepSums sums_;
  StepSums slice_sums_;
  GroupSums group_sums_;
  GroupSums reported_sums_;  // as the weights are told
  std::vector<double> weight_;
  std::vector<double> coefficient_;
  std::vector<std::int64_t> batch_;
  std::vector<double> average_weight_K_;
  std::int64_t steps_ = 0;
  std::int64_t skipped_steps_ = 0;
};

}  // namespace equipoise::log_linear
