// When training ends before the end of its plan, and what an evaluation means for the steps that follow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/checkpoint/checkpoint_manifest.h"
#include "common/collective/host_collective.h"
#include "common/config/training_config.h"
#include "equipoise/v1/worker.pb.h"
#include "worker/training/metrics_file.h"

namespace equipoise {

// Throws std::invalid_argument with the names there are when the metric is none of them; "eval_" may stand in front of
// a name.
void check_metric(const EarlyStoppingConfig& config, const EvaluationNumbers& numbers);

// Better is below best - min_delta (mode max: above best + min_delta); NaN is never better. Pure: no clock, no file.
class EarlyStopping {
 public:
  explicit EarlyStopping(EarlyStoppingConfig config) : config_(std::move(config)) {}

  // The next evaluation. True if it is the best so far. Throws std::invalid_argument as check_metric() when the first
  // one lacks the metric; where a later one does, as a loss that is not finite leaves no gap, there is no value.
  bool observe(std::int64_t steps_done, const EvaluationNumbers& numbers);
  // `patience` evaluations in a row were not better than the best. Never before there was a finite value.
  bool should_stop() const { return state_.has_best && state_.waited >= config_.patience; }
  // Has a meaning once an evaluation was finite.
  v1::EarlyStop best() const;

  // What a checkpoint keeps.
  struct State {
    bool has_seen = false;
    bool has_best = false;
    double best = 0;
    std::int64_t best_step = 0;
    std::int64_t waited = 0;
  };
  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  EarlyStoppingConfig config_;
  State state_;
};

// What every rank does after an evaluation.
struct EvaluationVerdict {
  double worst_group_loss = 0;
  bool is_best = false;               // keep these parameters
  std::optional<v1::EarlyStop> stop;  // set: this step was the last
};

// Looks at evaluations on rank 0 and tells the others, so that all ranks do the same.
class EvaluationWatch {
 public:
  // `host` outlives it.
  EvaluationWatch(const std::optional<EarlyStoppingConfig>& config, HostCollective& host);
  // Every rank calls it; `numbers` are looked at on rank 0.
  EvaluationVerdict judge(std::int64_t steps_done, const EvaluationNumbers& numbers);
  // What the last evaluation of a run means that goes on from a checkpoint: whether training ends. Every rank calls it.
  std::optional<v1::EarlyStop> stop();

  // What a checkpoint keeps. Rank 0.
  CheckpointJson state() const;
  // Throws std::invalid_argument where `state` is none.
  void restore(const CheckpointJson& state);

 private:
  std::optional<v1::EarlyStop> share(EvaluationVerdict& verdict);

  std::optional<EarlyStopping> early_stopping_;
  HostCollective& host_;
};

}  // namespace equipoise
