#include "worker/objective/group_sums.h"

#include <algorithm>
#include <cmath>

#include "common/base/error.h"

namespace equipoise {

GroupSums present_groups(std::span<const double> loss_sum_K, std::span<const double> pair_count_K, double batch_pairs) {
  EQUIPOISE_CHECK(loss_sum_K.size() == pair_count_K.size());
  GroupSums sums;
  sums.batch_pairs = batch_pairs;
  for (std::size_t g = 0; g < pair_count_K.size(); ++g) {
    if (!(pair_count_K[g] > 0)) continue;
    sums.group.push_back(static_cast<std::uint32_t>(g));
    sums.loss_sum.push_back(loss_sum_K[g]);
    sums.pair_count.push_back(pair_count_K[g]);
  }
  return sums;
}

std::vector<double> pair_coefficients(MembershipsOfPairs memberships_B, const GroupSums& sums,
                                      std::span<const double> weight, std::span<const double> scale) {
  EQUIPOISE_CHECK(weight.size() == sums.group.size() && scale.size() == sums.group.size());
  std::vector<double> coefficient_B;
  for (const std::span<const Membership> memberships : memberships_B) {
    double coefficient = 0;
    for (const Membership& membership : memberships) {
      const auto found = std::ranges::lower_bound(sums.group, membership.group);
      if (found == sums.group.end() || *found != membership.group) continue;
      const auto i = static_cast<std::size_t>(found - sums.group.begin());
      coefficient += weight[i] * scale[i] * membership.weight;
    }
    coefficient_B.push_back(coefficient);
  }
  return coefficient_B;
}

void WeightedSpread::add(double value, double weight) {
  if (weight == 0) return;
  const double square = weight * weight, distance = value - centre_;
  weight_squared_ += square;
  centre_ += square / weight_squared_ * distance;
  spread_ += square * distance * (value - centre_);
}

double WeightedSpread::about(double mean) const {
  if (weight_squared_ == 0) return 0;
  const double shift = centre_ - mean;
  return spread_ + weight_squared_ * shift * shift;
}

std::optional<double> standard_error(const SpreadSums& sums) {
  if (!(sums.weight_squared > 0)) return std::nullopt;
  const double pairs = sums.weight * sums.weight / sums.weight_squared;
  // Rounding aside, it is 1 for one pair of any weight.
  if (pairs < 1 + 1e-9) return std::nullopt;
  const double error = std::sqrt(pairs / (pairs - 1) * sums.spread) / sums.weight;
  return std::isfinite(error) ? std::optional(error) : std::nullopt;
}

std::optional<MeanWithError> weighted_mean(std::span<const double> value_N, std::span<const double> weight_N) {
  double weight = 0, sum = 0;
  WeightedSpread spread;
  for (std::size_t i = 0; i < value_N.size(); ++i) {
    if (weight_N[i] == 0) continue;
    weight += weight_N[i];
    sum += weight_N[i] * value_N[i];
    spread.add(value_N[i], weight_N[i]);
  }
  if (weight == 0) return std::nullopt;
  const double mean = sum / weight;
  return MeanWithError{
      .mean = mean,
      .error =
          standard_error({.weight = weight, .weight_squared = spread.weight_squared(), .spread = spread.about(mean)})};
}

}  // namespace equipoise
