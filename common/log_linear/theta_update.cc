#include "common/log_linear/theta_update.h"

#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/robust/worst_group.h"

namespace equipoise::log_linear {
namespace {

void check_settings(const ThetaSettings& settings, const LossSettings& loss) {
  const auto not_negative = [](double value) { return std::isfinite(value) && value >= 0; };
  check_number(std::isfinite(settings.learning_rate) && settings.learning_rate > 0, "optimizer.learning_rate",
               settings.learning_rate, "a finite number > 0");
  check_number(not_negative(settings.projection_radius), "policy.log_linear.projection_radius",
               settings.projection_radius, "a finite number >= 0 (0: no projection)");
  check_number(not_negative(settings.ridge), "policy.log_linear.ridge", settings.ridge, "a finite number >= 0");
  if (settings.closed_form != ClosedForm::kOff && loss.type != PairLoss::kIpo) {
    throw std::invalid_argument("policy.log_linear.closed_form is true with loss.type dpo, expected loss.type ipo");
  }
}

}  // namespace

ThetaUpdate::ThetaUpdate(ThetaSettings settings, LossSettings loss, std::vector<double> initial_theta_D,
                         std::optional<NormalEquations> equations)
    : settings_(settings),
      loss_(loss),
      schedule_("optimizer.learning_rate", settings.learning_rate, settings.plateau),
      theta_D_(std::move(initial_theta_D)),
      average_D_(theta_D_),
      equations_(std::move(equations)) {
  check_loss(loss_);
  check_settings(settings_, loss_);
  EQUIPOISE_CHECK(settings_.closed_form == ClosedForm::kOff || equations_.has_value());
}

void ThetaUpdate::step(const StepSums& sums, const GroupSums& group_sums, RobustMode mode,
                       std::span<const double> weight, std::span<const double> coefficient) {
  if (settings_.closed_form == ClosedForm::kOff) {
    descend(sums, group_sums, coefficient);
  } else {
    solve(group_sums, mode, weight, coefficient);
  }
  project();
  ++steps_;
  const double share = 1 / static_cast<double>(steps_);
  for (std::size_t j = 0; j < theta_D_.size(); ++j) average_D_[j] += (theta_D_[j] - average_D_[j]) * share;
  if (settings_.plateau.factor == 1) return;
  if (const auto worst = worst_mean_loss(group_sums.loss_sum, group_sums.pair_count)) schedule_.observe(*worst);
}

void ThetaUpdate::descend(const StepSums& sums, const GroupSums& group_sums, std::span<const double> coefficient) {
  for (std::size_t i = 0; i < group_sums.group.size(); ++i) {
    const std::span<const double> gradient_D = sums.gradient_sum(group_sums.group[i]);
    const double factor = learning_rate() * coefficient[i];
    for (std::size_t j = 0; j < theta_D_.size(); ++j) theta_D_[j] -= factor * gradient_D[j];
  }
}

void ThetaUpdate::solve(const GroupSums& group_sums, RobustMode mode, std::span<const double> weight,
                        std::span<const double> coefficient) {
  std::span<const double> chosen = settings_.closed_form == ClosedForm::kAuthors ? weight : coefficient;
  if (mode == RobustMode::kNone) {
    ones_.assign(group_sums.group.size(), 1.0);
    chosen = ones_;
  }
  equations_->solve(group_sums.group, chosen, loss_.beta, settings_.ridge, theta_D_);
}

void ThetaUpdate::project() {
  if (settings_.projection_radius == 0) return;
  double square = 0;
  for (const double value : theta_D_) square += value * value;
  const double norm = std::sqrt(square);
  if (!(norm > settings_.projection_radius)) return;
  for (double& value : theta_D_) value *= settings_.projection_radius / norm;
}

ThetaState ThetaUpdate::state() const { return {theta_D_, average_D_, steps_, schedule_.state()}; }

void ThetaUpdate::restore(ThetaState state) {
  for (const std::vector<double>* values : {&state.theta_D, &state.average_D}) {
    if (values->size() != theta_D_.size()) {
      throw std::invalid_argument("the recorded theta has " + std::to_string(values->size()) + " values, expected " +
                                  std::to_string(theta_D_.size()));
    }
    for (const double value : *values) {
      if (!std::isfinite(value)) throw std::invalid_argument("the recorded theta is not finite");
    }
  }
  if (state.steps < 0) throw std::invalid_argument("the recorded step is " + std::to_string(state.steps));
  theta_D_ = std::move(state.theta_D);
  average_D_ = std::move(state.average_D);
  steps_ = state.steps;
  schedule_.restore(state.schedule);
}

}  // namespace equipoise::log_linear
