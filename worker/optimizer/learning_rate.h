// The learning rate of every step, as a factor of the job's. One implementation for every kind of policy.
//   warm-up   w(t) = t / max(1, W)                       while t < W, W = warmup_steps, t from 0
//   constant  1          linear  max(0, (T - t) / max(1, T - W))
//   cosine    max(0, 1/2 (1 + cos(pi (t - W) / max(1, T - W))))
//   plateau   shrunk by evaluations, common/robust/step_schedule.h with torch's ReduceLROnPlateau as the model:
//             mode min, threshold_mode rel; there is no cooldown and no smallest change
// Source: Hugging Face's get_{constant,linear,cosine}_schedule_with_warmup.
#pragma once

#include <cstdint>

#include "common/config/optimizer_config.h"

namespace equipoise {

// Pure arithmetic, the same bits on every rank.
class LearningRateSchedule {
 public:
  // total_steps: T of the plan; linear and cosine end there.
  LearningRateSchedule(const OptimizerConfig& config, std::int64_t total_steps);

  // Factor of the update that follows `step` others; in [0, 1], but for a learning rate that was set.
  double factor(std::int64_t step) const;
  // In place of the job's, or of what evaluations have made of it, from the next update on; > 0.
  void set_learning_rate(double learning_rate);
  // The largest group loss of an evaluation during training; NaN counts as not better. Of use to `plateau` only.
  void observe(double worst_group_loss);

  const ScheduleState& state() const { return plateau_.state(); }
  void restore(const ScheduleState& state) { plateau_.restore(state); }

 private:
  ScheduleType type_;
  std::int64_t warmup_steps_;
  std::int64_t total_steps_;
  double learning_rate_;
  StepSchedule plateau_;  // of the learning rate; that of other schedules moves only when it is set
};

}  // namespace equipoise
