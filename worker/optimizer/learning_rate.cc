#include "worker/optimizer/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "common/base/error.h"

namespace equipoise {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(std::max<std::int64_t>(1, whole));
}

}  // namespace

LearningRateSchedule::LearningRateSchedule(const OptimizerConfig& config, std::int64_t total_steps)
    : type_(config.schedule),
      warmup_steps_(config.warmup_steps),
      total_steps_(total_steps),
      learning_rate_(config.learning_rate),
      plateau_("optimizer.learning_rate", config.learning_rate, config.plateau) {
  EQUIPOISE_CHECK(total_steps > 0 || type_ == ScheduleType::kConstant || type_ == ScheduleType::kPlateau);
}

double LearningRateSchedule::factor(std::int64_t step) const {
  const double base = plateau_.step_size() / learning_rate_;
  if (step < warmup_steps_) return base * ratio(step, warmup_steps_);
  switch (type_) {
    case ScheduleType::kLinear:
      return base * std::max(0.0, ratio(total_steps_ - step, total_steps_ - warmup_steps_));
    case ScheduleType::kCosine: {
      const double progress = ratio(step - warmup_steps_, total_steps_ - warmup_steps_);
      return base * std::max(0.0, 0.5 * (1 + std::cos(std::numbers::pi * progress)));
    }
    case ScheduleType::kConstant:
    case ScheduleType::kPlateau:
      break;
  }
  return base;
}

void LearningRateSchedule::set_learning_rate(double learning_rate) {
  ScheduleState state = plateau_.state();
  state.step_size = learning_rate;
  plateau_.restore(state);
}

void LearningRateSchedule::observe(double worst_group_loss) {
  if (type_ == ScheduleType::kPlateau) plateau_.observe(worst_group_loss);
}

}  // namespace equipoise
