// theta, and how it descends once the weights of a step are known.
// Source: Ramesh et al. 2024 (arXiv:2405.20304), Algorithms 1 and 2.
//
//   gradient       theta <- P(theta - eta_theta * sum_g c_g G_g)
//   closed form    theta <- P(theta*)                            closed_form.h
//   P projects onto |theta| <= R; the averaged iterate is the mean of theta after each step
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/log_linear/closed_form.h"
#include "common/log_linear/step_sums.h"
#include "common/robust/step_schedule.h"

namespace equipoise::log_linear {

// Which c_g the closed form takes:
//   kObjective   that of the gradient, so that it minimises the objective; 1 in mode none
//   kAuthors     w_g, as the authors' program does: every pair of a group weighs w_g; 1 in mode none
enum class ClosedForm { kOff, kObjective, kAuthors };

struct ThetaSettings {
  double learning_rate = 0.1;      // eta_theta > 0; not used in closed form
  PlateauSettings plateau = {};    // of the learning rate, observing the largest group loss
  double projection_radius = 0.0;  // R; 0: no projection
  ClosedForm closed_form = ClosedForm::kOff;
  double ridge = 0.0;  // lambda >= 0, closed form only
};

// What a checkpoint keeps.
struct ThetaState {
  std::vector<double> theta_D;
  std::vector<double> average_D;
  std::int64_t steps = 0;
  ScheduleState schedule;
};

class ThetaUpdate {
 public:
  // equations: the all-reduced ones of the whole data; needed in closed form, else absent.
  // Throws std::invalid_argument on a setting out of its range, or closed form without IPO.
  ThetaUpdate(ThetaSettings settings, LossSettings loss, std::vector<double> initial_theta_D,
              std::optional<NormalEquations> equations = std::nullopt);

  // One step. group_sums, weight and coefficient: of the step, in one order; coefficient as gradient_coefficients
  // gives it. Throws std::invalid_argument as NormalEquations::solve; theta is then unchanged. Asks for no memory.
  void step(const StepSums& sums, const GroupSums& group_sums, RobustMode mode, std::span<const double> weight,
            std::span<const double> coefficient);

  std::span<const double> theta_D() const { return theta_D_; }
  std::span<const double> average_D() const { return average_D_; }  // theta at the start while no step is done
  std::int64_t steps() const { return steps_; }
  double learning_rate() const { return schedule_.step_size() * rate_factor_; }
  // From now on the learning rate is multiplied by this, >= 0: the schedule of a job.
  void set_rate_factor(double factor) { rate_factor_ = factor; }

  ThetaState state() const;
  // Continues from a recorded state, bit by bit. Throws std::invalid_argument on a wrong length or a value that is
  // not finite.
  void restore(ThetaState state);

 private:
  void descend(const StepSums& sums, const GroupSums& group_sums, std::span<const double> coefficient);
  void solve(const GroupSums& group_sums, RobustMode mode, std::span<const double> weight,
             std::span<const double> coefficient);
  void project();

  ThetaSettings settings_;
  LossSettings loss_;
  StepSchedule schedule_;
  double rate_factor_ = 1;
  std::vector<double> theta_D_;
  std::vector<double> average_D_;
  std::vector<double> ones_;  // scratch: the coefficients of mode none in closed form
  std::optional<NormalEquations> equations_;
  std::int64_t steps_ = 0;
};

}  // namespace equipoise::log_linear
