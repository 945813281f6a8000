#include "worker/language_model/objective_error.h"

#include <cmath>

#include "worker/objective/group_sums.h"

namespace equipoise {
namespace {

// sum_i z_i^2 of this rank's pairs, or nothing if a group's share of it is unknown. By group id: w_g k_g scale_g.
std::optional<double> square_of_ratios(const BatchSums& sums, const RankLosses& losses, const GroupFactors& factors) {
  std::vector<double> factor_K(sums.num_groups());
  const GroupSums present = sums.group_sums();
  for (std::size_t i = 0; i < present.group.size(); ++i) {
    const std::uint32_t group = present.group[i];
    if (factors.weight[i] == 0) continue;
    const double pairs = sums.independent_pairs(group);
    if (!sums.group_error(Measure::kLoss, group)) return std::nullopt;
    factor_K[group] = factors.weight[i] * factors.scale[i] * std::sqrt(pairs / (pairs - 1));
  }
  double square = 0;
  for (std::size_t b = 0; b < losses.loss_B.size(); ++b) {
    double z = 0;
    for (const Membership& membership : losses.memberships_B[b]) {
      const double factor = factor_K[membership.group];
      if (factor != 0) z += factor * membership.weight * (losses.loss_B[b] - sums.group_loss(membership.group));
    }
    z *= losses.weight_B[b];
    square += z * z;
  }
  return square;
}

// Spread of |B| c_i l_i of this rank's pairs about their mean over the batch.
double spread_of_terms(const BatchSums& sums, double objective, const RankLosses& losses, const GroupFactors& factors) {
  const std::vector<double> c_B =
      pair_coefficients(losses.memberships_B, sums.group_sums(), factors.weight, factors.scale);
  double spread = 0;
  for (std::size_t b = 0; b < c_B.size(); ++b) {
    const double distance = sums.pairs() * losses.weight_B[b] * c_B[b] * losses.loss_B[b] - objective;
    spread += distance * distance;
  }
  return spread;
}

// Whether the objective is a sum of ratios S_g / n_g.
bool is_sum_of_ratios(const RobustSettings& robust, const BatchSums& sums, std::span<const double> scale) {
  if (robust.estimator != Estimator::kUnbiased) return robust.estimator == Estimator::kBatchMean;
  const GroupSums present = sums.group_sums();
  for (std::size_t i = 0; i < present.group.size(); ++i) {
    if (scale[i] != 1 / present.pair_count[i]) return false;
  }
  return true;
}

}  // namespace

std::optional<double> objective_error(const RobustSettings& robust, const BatchSums& sums, double objective,
                                      const RankLosses& losses, const GroupFactors& factors, Collective& collective) {
  if (robust.mode == RobustMode::kNone) return sums.error(Measure::kLoss);
  if (is_sum_of_ratios(robust, sums, factors.scale)) {
    auto square = square_of_ratios(sums, losses, factors);  // known on every rank, or on none
    if (!square) return std::nullopt;
    collective.all_reduce_sum(std::span(&*square, 1));
    return std::isfinite(*square) ? std::optional(std::sqrt(*square)) : std::nullopt;
  }
  double spread = spread_of_terms(sums, objective, losses, factors);
  collective.all_reduce_sum(std::span(&spread, 1));
  return standard_error({.weight = sums.pairs(), .weight_squared = sums.pairs(), .spread = spread});
}

}  // namespace equipoise
