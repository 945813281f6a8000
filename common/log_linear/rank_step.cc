#include "common/log_linear/rank_step.h"

#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace equipoise::log_linear {
namespace {

StepSettings with_sizes(StepSettings settings, const PairMatrix& matrix) {
  if (settings.loss_K.empty()) throw std::invalid_argument("there are no groups, expected at least one");
  if (!settings.pair_count_K.empty()) return settings;
  settings.pair_count_K = matrix.group_counts();
  settings.num_pairs = static_cast<double>(matrix.pairs());
  return settings;
}

// Each rank's share of the sums, then all of them.
std::optional<NormalEquations> equations_of(const StepSettings& settings, const PairMatrix& matrix,
                                            HostCollective& host) {
  if (settings.theta.closed_form == ClosedForm::kOff) return std::nullopt;
  NormalEquations equations(matrix, slice_of_rank(matrix.pairs(), host.info()));
  host.all_reduce_sum(equations.values());
  std::vector<double> factor_K;
  for (const LossSettings& loss : settings.loss_K) factor_K.push_back(1 / (1 - 2 * loss.label_noise));
  equations.scale_targets(factor_K);
  return equations;
}

std::vector<double> theta_or_zeros(std::vector<double> theta_D, std::size_t dim) {
  if (theta_D.empty()) theta_D.assign(dim, 0.0);
  if (theta_D.size() == dim) return theta_D;
  throw std::invalid_argument("initial_theta has " + std::to_string(theta_D.size()) + " values, expected " +
                              std::to_string(dim));
}

}  // namespace

RankStep::RankStep(StepSettings settings, const PairMatrix& matrix, std::vector<double> initial_theta_D,
                   HostCollective& host)
    : settings_(with_sizes(std::move(settings), matrix)),
      sums_(settings_.loss_K, matrix.dim),
      theta_(settings_.theta, settings_.loss_K.front(), theta_or_zeros(std::move(initial_theta_D), matrix.dim),
             equations_of(settings_, matrix, host)) {}

void RankStep::run(std::int64_t step, const StepParts& parts) {
  sum_batch(step, parts);
  find_non_finite();
  weight_.resize(group_sums_.group.size());
  coefficient_.resize(group_sums_.group.size());
  parts.weights.step({.step = step, .sums = reported(), .non_finite = non_finite_}, weight_);
  const RobustSettings& robust = settings_.robust;
  const GroupSizes sizes = estimator_sizes(robust.estimator, {robust.counted_K, robust.counted_pairs},
                                           {settings_.pair_count_K, settings_.num_pairs});
  gradient_coefficients(robust, group_sums_, sizes.pair_count_K, sizes.num_pairs, weight_, coefficient_);
  if (!skipped()) theta_.step(sums_, group_sums_, robust.mode, weight_, coefficient_);
}

void RankStep::sum_batch(std::int64_t step, const StepParts& parts) {
  sums_.assign(parts.pairs.of_step(step), theta_.theta_D());
  parts.host.all_reduce_sum(sums_.values());
  sums_.write_group_sums(group_sums_);
  is_weighted_ = parts.pairs.are_weighted();
  if (is_weighted_) weigh_groups(step, parts.pairs);
}

// As stratified batches need it. A group is a stratum here, so all of its pairs weigh the same.
void RankStep::weigh_groups(std::int64_t step, RankPairs& pairs) {
  group_pairs_ = group_sums_.pair_count;
  for (const std::uint32_t group : group_sums_.group) sums_.weigh(group, pairs.group_weight(step, group));
  const double batch_pairs = group_sums_.batch_pairs;  // |B| stays the number of pairs
  sums_.write_group_sums(group_sums_);
  group_sums_.batch_pairs = batch_pairs;
}

// A group whose loss or gradient is not finite: alpha must not follow a step that theta cannot take.
void RankStep::find_non_finite() {
  non_finite_.clear();
  for (std::size_t i = 0; i < group_sums_.group.size(); ++i) {
    const std::uint32_t group = group_sums_.group[i];
    bool finite = std::isfinite(group_sums_.loss_sum[i]);
    for (const double value : sums_.gradient_sum(group)) finite = finite && std::isfinite(value);
    if (finite) continue;
    non_finite_.push_back(group);
    group_sums_.loss_sum[i] = 0;
  }
}

// What the owner of the weights is told.
const GroupSums& RankStep::reported() {
  if (settings_.theta.closed_form != ClosedForm::kAuthors) return group_sums_;
  reported_sums_ = group_sums_;
  divide_losses_as_authors(reported_sums_, settings_.pair_count_K);
  return reported_sums_;
}

double RankStep::loss() const {
  double loss = 0;
  for (std::size_t i = 0; i < coefficient_.size(); ++i) loss += coefficient_[i] * group_sums_.loss_sum[i];
  return loss;
}

double RankStep::grad_norm() const {
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

}  // namespace equipoise::log_linear
