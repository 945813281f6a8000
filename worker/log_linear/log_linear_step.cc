#include "worker/log_linear/log_linear_step.h"

#include <algorithm>
#include <cmath>

#include "worker/objective/label_noise.h"

namespace equipoise {
namespace {

using log_linear::ClosedForm;
using log_linear::NormalEquations;
using log_linear::PairRange;

log_linear::PairLoss pair_loss_of(LossType type) {
  if (type == LossType::kHinge) return log_linear::PairLoss::kHinge;
  return type == LossType::kIpo ? log_linear::PairLoss::kIpo : log_linear::PairLoss::kDpo;
}

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
  std::vector<double> factor_K;
  for (const auto& loss : group_loss_settings(config.loss, data.group_names)) {
    factor_K.push_back(1 / (1 - 2 * loss.label_noise));
  }
  equations.scale_targets(factor_K);
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
  // Robust: the smoothing is the noise of DPO.
  if (loss.type == LossType::kRobust) return {.beta = loss.beta, .label_noise = loss.label_smoothing};
  return {.type = pair_loss_of(loss.type), .beta = loss.beta, .label_smoothing = loss.label_smoothing};
}

std::vector<log_linear::LossSettings> group_loss_settings(const LossConfig& loss,
                                                          std::span<const std::string> group_names) {
  const LabelNoise noise(loss, group_names);
  std::vector<log_linear::LossSettings> settings_K(group_names.size(), pair_loss_settings(loss));
  for (std::size_t g = 0; g < settings_K.size(); ++g) {
    const Membership membership{.group = static_cast<std::uint32_t>(g), .weight = 1};
    settings_K[g].label_noise = noise.of(std::span(&membership, 1));
  }
  return settings_K;
}

LogLinearStep::LogLinearStep(const JobConfig& config, const LogLinearData& data, const ShardPlan& plan,
                             Collective& host, WeightSync& weights)
    : config_(config),
      data_(data),
      plan_(plan),
      host_(host),
      weights_(weights),
      cursor_(plan, data.strata),
      sums_(group_loss_settings(config.loss, data.group_names), data.train.dim),
      schedule_(config.optimizer, plan.end_step),
      theta_(theta_settings(config), pair_loss_settings(config.loss), config.log_linear->problem.initial_theta_D,
             normal_equations(config, data, host)) {
  if (config.training.sampling == Sampling::kOneGroup) sampler_.emplace(data.train, plan.seed);
  if (config.training.full_batch) pairs_.assign(data.train, slice_of_rank(data.train.pairs(), host.info()));
}

void LogLinearStep::run(std::int64_t step) {
  theta_.set_rate_factor(schedule_.factor(step));
  take_pairs(step);
  sums_.assign(pairs_, theta_.theta_D());
  host_.all_reduce_sum(sums_.values());
  sums_.write_group_sums(group_sums_);
  group_pairs_ = group_sums_.pair_count;
  if (data_.strata) weigh_groups(step);
  find_non_finite();
  ask_for_weights(step);
  const bool is_unbiased = config_.robust.settings.estimator == Estimator::kUnbiased;
  log_linear::gradient_coefficients(
      config_.robust.settings, group_sums_, is_unbiased ? data_.counted_K : data_.pair_count_K,
      is_unbiased ? static_cast<double>(data_.train.pairs()) : data_.num_pairs, weight_, coefficient_);
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

// As stratified batches need it. A group is a stratum here, so all of its pairs weigh the same.
void LogLinearStep::weigh_groups(std::int64_t step) {
  for (const std::uint32_t group : group_sums_.group) sums_.weigh(group, cursor_.group_weight(step, group));
  const double batch_pairs = group_sums_.batch_pairs;  // |B| stays the number of pairs
  sums_.write_group_sums(group_sums_);
  group_sums_.batch_pairs = batch_pairs;
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
