// The whole algorithm in one thread, for experiments that need no service: one rank of a job, with the group weights at
// hand instead of a message away.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/log_linear/rank_step.h"

namespace equipoise::log_linear {

enum class Sampling { kFullBatch, kOneGroup };

struct EngineSettings {
  LossSettings loss;
  RobustSettings robust;
  ThetaSettings theta;
  Sampling sampling = Sampling::kFullBatch;
  std::size_t batch_pairs = 1;  // kOneGroup: pairs of a step, >= 1
  std::uint64_t seed = 0;       // kOneGroup
};

// Asks for no memory and makes no system call in step(). Not thread-safe.
class Engine {
 public:
  // Throws std::invalid_argument on settings out of their range or a group without pairs.
  Engine(PairMatrix matrix, std::vector<double> initial_theta_D, EngineSettings settings);
  // One rank of several, with the same matrix and settings on each. `host` outlives it.
  Engine(PairMatrix matrix, std::vector<double> initial_theta_D, EngineSettings settings, HostCollective& host);

  // One iteration. A step whose loss or gradient is not finite changes nothing and is counted in skipped_steps().
  // Throws std::invalid_argument as NormalEquations::solve.
  void step();
  void run(std::int64_t steps);

  std::int64_t steps() const { return steps_; }
  std::int64_t skipped_steps() const { return skipped_steps_; }
  std::span<const double> theta_D() const { return step_.theta().theta_D(); }
  std::span<const double> average_theta_D() const { return step_.theta().average_D(); }
  // [K]. Mode none learns no weights: uniform, as the paper's program reports it.
  std::vector<double> alpha_K() const;
  // [K], mean over the steps of the w_g that the gradient used: the dual iterate of the duality gap.
  std::span<const double> average_weight_K() const { return average_weight_K_; }
  // Of the last step, at the theta before it, the one that entered alpha.
  const GroupSums& group_sums() const { return step_.group_sums(); }
  double alpha_step_size() const { return weights_.weights().step_size(); }
  const PairMatrix& matrix() const { return *matrix_; }

 private:
  Engine(PairMatrix matrix, std::vector<double> initial_theta_D, EngineSettings settings,
         std::unique_ptr<HostCollective> own_host);
  void average_weights();

  std::unique_ptr<const PairMatrix> matrix_;  // stays where it is when the engine moves
  std::unique_ptr<HostCollective> own_host_;  // of one rank alone
  HostCollective* host_;
  RobustMode mode_;
  OwnStepWeights weights_;
  RankPairs pairs_;
  RankStep step_;
  std::vector<double> average_weight_K_;
  std::int64_t steps_ = 0;
  std::int64_t skipped_steps_ = 0;
};

}  // namespace equipoise::log_linear
