#include "worker/log_linear/log_linear_step.h"

#include <algorithm>
#include <cmath>

namespace equipoise {
namespace {

using log_linear::ClosedForm;
using log_linear::NormalEquations;
using log_linear::PairRange;

ClosedForm closed_form(const JobConfig& config) {
  if (!config.log_linear->closed_form) return ClosedForm::kOff;
  return config.robust.paper_compat ? ClosedForm::kAuthors : ClosedForm::kObjective;
}

PairRange slice_of_rank(std::size_t pairs, RankInfo rank) {
  return log_linear::slice_of(pairs, static_cast<std::size_t>(rank.rank), static_cast<std::size_t>(rank.world_size));
}

// Each rank's share of the sums, then all of them.
std::optional<NormalEquations> normal_equations(const JobConfig& config, const LogLinearData& data, Collective& host) {
  if (!config.log_linear->closed_form) return std::nullopt;
  NormalEquations equations(data.train, slice_of_rank(data.train.pairs(), host.info()));
  host.all_reduce_sum(equations.values());
  return equations;
}

log_linear::ThetaSettings theta_settings(const JobConfig& config) {
  return {.learning_rate = config.optimizer.learning_rate,
          .projection_radius = config.log_linear->projection_radius,
          .closed_form = closed_form(config),
          .ridge = config.log_linear->ridge};
}

}  // namespace

log_linear::LossSettings pair_loss_settings(const LossConfig& loss) {
  return {.type = loss.type == LossType::kIpo ? log_linear::PairLoss::kIpo : log_linear::PairLoss::kDpo,
          .beta = loss.beta,
          .label_smoothing = loss.label_smoothing};
}

LogLinearStep::LogLinearStep(const JobConfig& config, const LogLinearData& data, const ShardPlan& plan,
                             Collective& host, WeightSync& weights)
    : config_(config),
      data_(data),
      plan_(plan),
      host_(host),
      weights_(weights),
      cursor_(plan),
      sums_(pair_loss_settings(config.loss), data.train.groups, data.train.dim),
      theta_(theta_settings(config), pair_loss_settings(config.loss), config.log_linear->problem.initial_theta_D,
             normal_equations(config, data, host)) {
  if (config.training.sampling == Sampling::kOneGroup) sampler_.emplace(data.train, plan.seed);
  if (config.training.full_batch) pairs_.assign(data.train, slice_of_rank(data.train.pairs(), host.info()));
}

void LogLinearStep::run(std::int64_t step) {
  take_pairs(step);
  sums_.assign(pairs_, theta_.theta_D());
  host_.all_reduce_sum(sums_.values());
  sums_.write_group_sums(group_sums_);
  find_non_finite();
  ask_for_weights(step);
  log_linear::gradient_coefficients(config_.robust.settings, group_sums_, data_.pair_count_K,
                                    static_cast<double>(data_.train.pairs()), weight_, coefficient_);
  if (!skipped()) theta_.step(sums_, group_sums_, config_.robust.settings.mode, weight_, coefficient_);
}

void LogLinearStep::take_pairs(std::int64_t step) {
  if (config_.training.full_batch) return;  // the same in every step
  if (sampler_) {
    sampler_->sample(step, static_cast<std::size_t>(plan_.global_batch_size), batch_);
    const PairRange mine = slice_of_rank(batch_.size(), host_.info());
    pairs_.assign(data_.train, std::span<const std::int64_t>(batch_).subspan(mine.first, mine.end - mine.first));
    return;
  }
  batch_ = cursor_.rank_batch(step, host_.info().rank);
  pairs_.assign(data_.train, std::span<const std::int64_t>(batch_));
}

// A group whose loss or gradient is not finite: alpha must not follow a step that theta cannot take.
void LogLinearStep::find_non_finite() {
  non_finite_.clear();
  for (std::size_t i = 0; i < group_sums_.group.size(); ++i) {
    const std::uint32_t group = group_sums_.group[i];
    const auto gradient_D = sums_.gradient_sum(group);
    bool finite = std::isfinite(group_sums_.loss_sum[i]);
    for (const double value : gradient_D) finite = finite && std::isfinite(value);
    if (finite) continue;
    non_finite_.push_back(group);
    group_sums_.loss_sum[i] = 0;
  }
}

void LogLinearStep::ask_for_weights(std::int64_t step) {
  weight_.resize(group_sums_.group.size());
  coefficient_.resize(group_sums_.group.size());
  const bool as_authors = closed_form(config_) == ClosedForm::kAuthors;
  if (as_authors) {
    reported_sums_ = group_sums_;
    log_linear::divide_losses_as_authors(reported_sums_, data_.pair_count_K);
  }
  weights_.step({.step = step, .sums = as_authors ? reported_sums_ : group_sums_, .non_finite = non_finite_}, weight_);
}

double LogLinearStep::loss() const {
  double loss = 0;
  for (std::size_t i = 0; i < coefficient_.size(); ++i) loss += coefficient_[i] * group_sums_.loss_sum[i];
  return loss;
}

double LogLinearStep::grad_norm() const {
  double square = 0;
  for (std::size_t j = 0; j < sums_.dim(); ++j) {
    double gradient = 0;
    for (std::size_t i = 0; i < coefficient_.size(); ++i) {
      gradient += coefficient_[i] * sums_.gradient_sum(group_sums_.group[i])[j];
    }
    square += gradient * gradient;
  }
  return std::sqrt(square);
}

double LogLinearStep::epochs_done(std::int64_t steps) const {
  if (!sampler_) return cursor_.epochs_done(steps);
  return static_cast<double>(steps) * static_cast<double>(plan_.global_batch_size) /
         static_cast<double>(plan_.num_pairs);
}

}  // namespace equipoise
