// A step size that shrinks when the loss stops falling. The same rule serves eta_alpha and the learning rate.
#pragma once

#include <cstdint>
#include <limits>

namespace equipoise {

// After `patience` observations in a row that are not below best - threshold |best|, the best so far, the step size is
// multiplied by `factor`, and the counting starts again.
struct PlateauSettings {
  double factor = 1.0;        // step_factor, in (0, 1]; 1: constant step size
  std::int64_t patience = 1;  // >= 1
  double threshold = 1e-4;    // in [0, 1), relative
  double smallest = 0.0;      // the step size never falls below it
};

// What a checkpoint keeps of a schedule.
struct ScheduleState {
  double step_size = 0;
  double best = std::numeric_limits<double>::infinity();
  std::int64_t waited = 0;
};

// Pure arithmetic: the same observations give the same bits.
class StepSchedule {
 public:
  // `field` ("robust.step_size", ...) begins the messages.
  // Throws std::invalid_argument naming the setting, its value and its range.
  StepSchedule(const char* field, double step_size, PlateauSettings plateau = {});

  double step_size() const { return state_.step_size; }
  // Takes note of the loss of one step; the step size of the next step may differ. NaN counts as not below.
  void observe(double loss);

  const ScheduleState& state() const { return state_; }
  void restore(const ScheduleState& state) { state_ = state; }

 private:
  PlateauSettings plateau_;
  ScheduleState state_;
};

}  // namespace equipoise
