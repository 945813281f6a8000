#include "common/robust/group_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/base/message_text.h"
#include "common/robust/ambiguity_sets.h"
#include "common/robust/worst_group.h"

namespace equipoise {
namespace {

// Why a record of these is none of weights; empty where it is one.
std::string fault_of_record(std::span<const double> log_alpha_K, std::span<const double> group_loss_K) {
  for (std::size_t g = 0; g < log_alpha_K.size(); ++g) {
    if (!std::isfinite(log_alpha_K[g]))
      return "the recorded log weight of group " + std::to_string(g) + " is not finite";
  }
  for (std::size_t g = 0; g < group_loss_K.size(); ++g) {
    if (std::isinf(group_loss_K[g])) return "the recorded loss of group " + std::to_string(g) + " is infinite";
  }
  constexpr double kRounding = 1e-6;  // far above what summing 1e6 weights leaves, far below a damaged record
  const double log_sum = log_sum_exp(log_alpha_K);
  if (std::abs(log_sum) <= kRounding) return "";
  return "the recorded weights sum to " + number_text(std::exp(log_sum)) + ", expected 1";
}

// Far beyond any loss, yet finite and so that sums and differences of two are.
double saturated(double value) { return std::clamp(value, kLowestLogWeight, -kLowestLogWeight); }

double mean_loss(const GroupSums& sums, std::size_t i) { return saturated(sums.loss_sum[i] / sums.pair_count[i]); }

// k_g + r_g (S_g / n_g - k_g) of the i-th group of a batch, `control` being its k_g: the mean itself where r_g is 1.
double unbiased_loss(const GroupSums& sums, std::size_t i, const GroupSizes& sizes, double control) {
  const double mean = mean_loss(sums, i), ratio = share_ratio(sums, i, sizes.pair_count_K, sizes.num_pairs);
  return ratio == 1 ? mean : saturated(control + saturated(ratio) * (mean - control));
}

// Throws on what GroupWeights does not take.
StepSchedule checked_step_size(const RobustSettings& settings, std::span<const double> group_pair_count_K,
                               double num_pairs) {
  check_group_sizes({group_pair_count_K, num_pairs}, group_pair_count_K.size());
  check_robust_settings(settings, group_pair_count_K.size());
  return {"robust.step_size", settings.step_size, settings.step_plateau};
}

std::vector<double> initial_log_alpha(const RobustSettings& settings, std::span<const double> group_pair_count_K) {
  std::vector<double> log_alpha_K(group_pair_count_K.size(), 0.0);
  for (std::size_t g = 0; g < log_alpha_K.size(); ++g) {
    if (settings.mode == RobustMode::kNone) log_alpha_K[g] = std::log(group_pair_count_K[g]);
    if (settings.mode != RobustMode::kImportance) continue;
    log_alpha_K[g] = settings.importance_weight_K.empty() ? -std::log(group_pair_count_K[g])
                                                          : std::log(settings.importance_weight_K[g]);
  }
  normalize_log_simplex(log_alpha_K);
  return log_alpha_K;
}

}  // namespace

bool weights_precede_losses(const RobustSettings& settings) {
  return settings.mode != RobustMode::kGroupRobust || settings.update == WeightUpdate::kAfterGradient;
}

void gradient_weights(const RobustSettings& settings, std::span<const double> alpha_K,
                      std::span<const std::uint32_t> groups, std::span<double> weight) {
  const bool is_mixed = settings.mode == RobustMode::kGroupRobust;
  const double uniform = is_mixed ? (1 - settings.trade_off) * (1 / static_cast<double>(alpha_K.size())) : 0;
  const double chi = is_mixed ? settings.trade_off : 1;
  for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = uniform + chi * alpha_K[groups[i]];
}

GroupWeights::GroupWeights(RobustSettings settings, std::vector<double> group_pair_count_K, double num_pairs)
    : settings_(std::move(settings)),
      group_pair_count_K_(std::move(group_pair_count_K)),
      num_pairs_(num_pairs),
      step_size_(checked_step_size(settings_, group_pair_count_K_, num_pairs_)) {
  if (!has_closed_form()) log_alpha_K_ = initial_log_alpha(settings_, group_pair_count_K_);
  if (!has_closed_form() && !has_control_variate()) return;
  share_K_ = group_shares(group_pair_count_K_);
  group_loss_K_.assign(share_K_.size(), std::numeric_limits<double>::quiet_NaN());
  if (!has_closed_form()) return;
  const std::vector<double> equal_loss_K(share_K_.size(), 0.0);  // of which the worst weights are the shares
  log_alpha_K_ = closed_form_log_weights(settings_, {.loss_K = equal_loss_K, .share_K = share_K_});
}

bool GroupWeights::has_closed_form() const {
  return settings_.mode == RobustMode::kGroupRobust && settings_.ambiguity_set != AmbiguitySet::kSimplex;
}

bool GroupWeights::has_control_variate() const {
  return settings_.mode == RobustMode::kGroupRobust && settings_.ambiguity_set == AmbiguitySet::kSimplex &&
         settings_.estimator == Estimator::kUnbiased;
}

std::vector<double> GroupWeights::step(const GroupSums& sums) {
  std::vector<double> weight(sums.group.size());
  step(sums, weight);
  return weight;
}

void GroupWeights::step(const GroupSums& sums, std::span<double> weight) {
  check_group_sums(sums, log_alpha_K_.size());
  check_places("weight", weight.size(), sums);
  // Nothing below throws but for want of memory: either the whole step is done or nothing of it.
  const bool moves = settings_.mode == RobustMode::kGroupRobust;
  if (!moves || settings_.update == WeightUpdate::kAfterGradient) write_gradient_weight(sums.group, weight);
  if (!moves) return;
  if (has_closed_form()) {
    set_worst_weights(sums);
  } else if (has_control_variate()) {
    ascend_all(sums);
  } else {
    ascend(sums);
  }
  if (settings_.update == WeightUpdate::kBeforeGradient) write_gradient_weight(sums.group, weight);
  observe(sums.loss_sum, sums.pair_count);
}

void GroupWeights::step(const GroupSums& sums, std::span<const std::uint32_t> non_finite, std::span<double> weight) {
  if (non_finite.empty()) return step(sums, weight);
  check_places("weight", weight.size(), sums);
  write_gradient_weight(sums.group, weight);
}

void GroupWeights::observe(std::span<const double> loss_sum, std::span<const double> pair_count) {
  if (settings_.step_plateau.factor == 1) return;
  if (const auto worst = worst_mean_loss(loss_sum, pair_count)) step_size_.observe(*worst);
}

// Marked inline, as in position-independent code the compiler does not do it by itself.

// What alpha follows in place of a group's loss.
inline double GroupWeights::adjusted_loss(double loss, std::size_t group) const {
  // Without an adjustment no root is drawn: for a million groups that saves a sixth of the time.
  return settings_.adjustment == 0 ? loss : loss + settings_.adjustment / std::sqrt(group_pair_count_K_[group]);
}

// eta_alpha * chi * (L_g + C / sqrt(N_g)), saturated so that a weight stays finite in the log domain.
inline double GroupWeights::rise(const GroupSums& sums, std::size_t i) const {
  const double factor = step_size() * settings_.trade_off;
  if (factor == 0) return 0;
  const std::uint32_t group = sums.group[i];
  if (settings_.estimator == Estimator::kBatchMean) {
    const double mean = mean_loss(sums, i);
    return saturated(factor * adjusted_loss(saturated(mean - baseline(group)), group));
  }
  // The baseline is one of each pair's loss, so that dataset_scaled stays unbiased.
  const double loss_sum = sums.loss_sum[i] - sums.pair_count[i] * baseline(group);
  const double scale = estimator_scale(sums, i, settings_.estimator, group_pair_count_K_, num_pairs_);
  // An infinite scale, of a size near the smallest float64, times no loss would be no number.
  const double loss = saturated(saturated(scale) * saturated(loss_sum));
  return saturated(factor * adjusted_loss(loss, group));
}

void GroupWeights::ascend(const GroupSums& sums) {
  for (std::size_t i = 0; i < sums.group.size(); ++i) log_alpha_K_[sums.group[i]] += rise(sums, i);
  normalize_log_simplex(log_alpha_K_);
}

// k_g of the groups that no batch has had yet; with none of them a number that means nothing.
double GroupWeights::control_of_unseen(const GroupSums& sums) const {
  if (std::ranges::none_of(group_loss_K_, [](double loss) { return std::isnan(loss); })) return 0;
  const double loss_sum = std::accumulate(sums.loss_sum.begin(), sums.loss_sum.end(), 0.0);
  const double pair_count = std::accumulate(sums.pair_count.begin(), sums.pair_count.end(), 0.0);
  return mean_of_known(group_loss_K_, share_K_).value_or(saturated(loss_sum / pair_count));
}

// Of what batches are drawn from.
GroupSizes GroupWeights::batch_sizes() const {
  return estimator_sizes(settings_.estimator, {settings_.counted_K, settings_.counted_pairs},
                         {group_pair_count_K_, num_pairs_});
}

std::vector<double> GroupWeights::estimated_loss_K(const GroupSums& sums) const {
  std::vector<double> loss_K(group_loss_K_.size());
  if (sums.group.empty()) return loss_K;
  const double unseen = control_of_unseen(sums);
  const GroupSizes sizes = batch_sizes();
  for (std::size_t g = 0, i = 0; g < loss_K.size(); ++g) {
    loss_K[g] = control(g, unseen);
    if (i == sums.group.size() || sums.group[i] != g) continue;
    loss_K[g] = unbiased_loss(sums, i++, sizes, loss_K[g]);
  }
  return loss_K;
}

void GroupWeights::ascend_all(const GroupSums& sums) {
  if (sums.group.empty()) return;
  constexpr double kPairsOfMean = 16;
  const double unseen = control_of_unseen(sums);
  const double factor = step_size() * settings_.trade_off;
  if (factor != 0) {  // 0 times an infinite loss would be no number
    const GroupSizes sizes = batch_sizes();
    // In one pass and without a vector of estimates: for a million groups that halves the time.
    for (std::size_t g = 0, i = 0; g < log_alpha_K_.size(); ++g) {
      double loss = control(g, unseen);
      if (i < sums.group.size() && sums.group[i] == g) loss = unbiased_loss(sums, i++, sizes, loss);
      log_alpha_K_[g] += saturated(factor * adjusted_loss(saturated(loss - baseline(g)), g));
    }
    normalize_log_simplex(log_alpha_K_);
  }
  for (std::size_t i = 0; i < sums.group.size(); ++i) {
    const double before = control(sums.group[i], unseen);
    group_loss_K_[sums.group[i]] =
        before + (mean_loss(sums, i) - before) * (sums.pair_count[i] / (sums.pair_count[i] + kPairsOfMean));
  }
}

void GroupWeights::set_worst_weights(const GroupSums& sums) {
  if (sums.group.empty()) return;  // perhaps no group at all is known yet
  std::vector<double> newest_K = group_loss_K_;
  for (std::size_t i = 0; i < sums.group.size(); ++i) {
    newest_K[sums.group[i]] = mean_loss(sums, i);
  }
  std::vector<double> loss_K = newest_K;
  for (std::size_t g = 0; g < loss_K.size(); ++g) loss_K[g] = saturated(loss_K[g] - baseline(g));
  loss_K = with_unknown_at_mean(loss_K, share_K_);
  for (std::size_t g = 0; g < loss_K.size(); ++g) loss_K[g] = saturated(adjusted_loss(loss_K[g], g));
  log_alpha_K_ = closed_form_log_weights(settings_, {.loss_K = loss_K, .share_K = share_K_});
  group_loss_K_ = std::move(newest_K);
}

// What lies between log alpha and the weights of the gradient, the same for every group.
GroupWeights::Mixture GroupWeights::mixture() const {
  Mixture mixture;
  if (settings_.mode != RobustMode::kGroupRobust) return mixture;
  const auto num_groups = static_cast<double>(log_alpha_K_.size());
  mixture.floor = settings_.min_weight;
  mixture.above_floor = 1 - std::min(1.0, settings_.min_weight * num_groups);
  mixture.uniform = (1 - settings_.trade_off) * (1 / num_groups);
  mixture.chi = settings_.trade_off;
  return mixture;
}

double GroupWeights::gradient_weight(std::size_t group) const { return mixture().weight(log_alpha_K_[group]); }

void GroupWeights::write_gradient_weight(std::span<const std::uint32_t> groups, std::span<double> weight) const {
  const Mixture mixed = mixture();
  for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = mixed.weight(log_alpha_K_[groups[i]]);
}

void GroupWeights::set_step_size(double step_size) {
  RobustSettings changed = settings_;
  changed.step_size = step_size;
  check_robust_settings(changed, log_alpha_K_.size());
  ScheduleState state = step_size_.state();
  state.step_size = step_size;
  step_size_.restore(state);
}

void GroupWeights::set_trade_off(double trade_off) {
  RobustSettings changed = settings_;
  changed.trade_off = trade_off;
  check_robust_settings(changed, log_alpha_K_.size());
  settings_.trade_off = trade_off;
}

std::vector<double> GroupWeights::alpha_K() const {
  std::vector<double> result_K(log_alpha_K_.size());
  const Mixture mixed = mixture();
  for (std::size_t g = 0; g < result_K.size(); ++g) result_K[g] = mixed.alpha(log_alpha_K_[g]);
  return result_K;
}

std::string GroupWeights::restore_fault(std::span<const double> log_alpha_K,
                                        std::span<const double> group_loss_K) const {
  if (log_alpha_K.size() != log_alpha_K_.size()) {
    return "the recorded weights are of " + std::to_string(log_alpha_K.size()) + " groups, expected " +
           std::to_string(log_alpha_K_.size());
  }
  const bool stands_for_unknown = group_loss_K.empty() && has_control_variate();
  if (!stands_for_unknown && group_loss_K.size() != group_loss_K_.size()) {
    return "the recorded losses are of " + std::to_string(group_loss_K.size()) + " groups, expected " +
           std::to_string(group_loss_K_.size());
  }
  return fault_of_record(log_alpha_K, group_loss_K);
}

void GroupWeights::restore(std::vector<double> log_alpha_K, std::vector<double> group_loss_K) {
  if (const std::string fault = restore_fault(log_alpha_K, group_loss_K); !fault.empty())
    throw std::invalid_argument(fault);
  if (group_loss_K.empty()) group_loss_K.assign(group_loss_K_.size(), std::numeric_limits<double>::quiet_NaN());
  // As recorded, not normalised again: resuming keeps every bit.
  log_alpha_K_ = std::move(log_alpha_K);
  group_loss_K_ = std::move(group_loss_K);
}

void GroupWeights::restore(const GroupWeightsState& state) {
  const ScheduleState& schedule = state.step_size;
  if (!std::isfinite(schedule.step_size) || schedule.step_size < 0 || std::isnan(schedule.best) ||
      schedule.waited < 0) {
    throw std::invalid_argument("the state of eta_alpha is none: step size " + number_text(schedule.step_size) +
                                ", best loss " + number_text(schedule.best) + ", waited " +
                                std::to_string(schedule.waited));
  }
  restore(state.log_alpha_K, state.group_loss_K);
  step_size_.restore(schedule);
}

}  // namespace equipoise
