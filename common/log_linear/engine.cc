#include "common/log_linear/engine.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

namespace equipoise::log_linear {
namespace {

std::optional<NormalEquations> equations_of(const PairMatrix& matrix, const ThetaSettings& theta) {
  if (theta.closed_form == ClosedForm::kOff) return std::nullopt;
  return NormalEquations(matrix, {0, matrix.pairs()});
}

std::vector<double> theta_or_zeros(std::vector<double> theta_D, std::size_t dim) {
  if (theta_D.empty()) theta_D.assign(dim, 0.0);
  if (theta_D.size() == dim) return theta_D;
  throw std::invalid_argument("initial_theta has " + std::to_string(theta_D.size()) + " values, expected " +
                              std::to_string(dim));
}

void add(std::span<double> to, std::span<const double> from) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

}  // namespace

Engine::Engine(PairMatrix matrix, std::vector<double> initial_theta_D, EngineSettings settings)
    : matrix_(std::move(matrix)),
      settings_(std::move(settings)),
      group_count_K_(matrix_.group_counts()),
      weights_(settings_.robust, group_count_K_, static_cast<double>(matrix_.pairs())),
      theta_(settings_.theta, settings_.loss, theta_or_zeros(std::move(initial_theta_D), matrix_.dim),
             equations_of(matrix_, settings_.theta)),
      alpha_schedule_("robust.step_size", settings_.robust.step_size, settings_.alpha_plateau),
      slices_(settings_.slices),
      sums_(settings_.loss, matrix_.groups, matrix_.dim),
      slice_sums_(sums_),
      average_weight_K_(matrix_.groups, 0.0) {
  if (settings_.slices == 0) throw std::invalid_argument("slices is 0, expected at least 1");
  if (settings_.batch_pairs == 0) throw std::invalid_argument("batch_pairs is 0, expected at least 1");
  if (settings_.sampling == Sampling::kOneGroup) {
    sampler_.emplace(matrix_, settings_.seed);
    return;
  }
  for (std::size_t slice = 0; slice < slices_.size(); ++slice) {
    slices_[slice].assign(matrix_, slice_of(matrix_.pairs(), slice, slices_.size()));
  }
}

void Engine::step() {
  sum_batch();
  ++steps_;
  if (!finite()) {
    ++skipped_steps_;
    return;
  }
  weight_.resize(group_sums_.group.size());
  coefficient_.resize(group_sums_.group.size());
  reported_sums_ = group_sums_;
  if (settings_.theta.closed_form == ClosedForm::kAuthors) divide_losses_as_authors(reported_sums_, group_count_K_);
  weights_.step(reported_sums_, weight_);
  gradient_coefficients(settings_.robust, group_sums_, group_count_K_, static_cast<double>(matrix_.pairs()), weight_,
                        coefficient_);
  theta_.step(sums_, group_sums_, settings_.robust.mode, weight_, coefficient_);
  average_weights();
  if (settings_.alpha_plateau.factor < 1) observe();
}

void Engine::run(std::int64_t steps) {
  for (std::int64_t i = 0; i < steps; ++i) step();
}

void Engine::sum_batch() {
  if (sampler_) {
    sampler_->sample(steps_, settings_.batch_pairs, batch_);
    for (std::size_t slice = 0; slice < slices_.size(); ++slice) {
      const PairRange range = slice_of(batch_.size(), slice, slices_.size());
      slices_[slice].assign(matrix_,
                            std::span<const std::int64_t>(batch_).subspan(range.first, range.end - range.first));
    }
  }
  sums_.assign(slices_[0], theta_.theta_D());
  for (std::size_t slice = 1; slice < slices_.size(); ++slice) {
    slice_sums_.assign(slices_[slice], theta_.theta_D());
    add(sums_.values(), slice_sums_.values());
  }
  sums_.write_group_sums(group_sums_);
}

bool Engine::finite() const {
  const std::span<const double> values = sums_.values();
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

void Engine::observe() {
  double largest = 0;
  for (std::size_t i = 0; i < group_sums_.group.size(); ++i) {
    largest = std::max(largest, group_sums_.loss_sum[i] / group_sums_.pair_count[i]);
  }
  alpha_schedule_.observe(largest);
  weights_.set_step_size(alpha_schedule_.step_size());
}

void Engine::average_weights() {
  const double share = 1 / static_cast<double>(theta_.steps());
  const bool all_present = weight_.size() == average_weight_K_.size();
  for (std::size_t g = 0; g < average_weight_K_.size(); ++g) {
    const double weight = all_present ? weight_[g] : weights_.gradient_weight(g);
    average_weight_K_[g] += (weight - average_weight_K_[g]) * share;
  }
}

std::vector<double> Engine::alpha_K() const {
  if (settings_.robust.mode != RobustMode::kNone) return weights_.alpha_K();
  return std::vector<double>(matrix_.groups, 1 / static_cast<double>(matrix_.groups));
}

}  // namespace equipoise::log_linear
