#include "worker/evaluate/group_statistics.h"

#include <cmath>

namespace equipoise {

std::optional<MeanWithError> weighted_mean(std::span<const double> value_N, std::span<const double> weight_N) {
  double weight = 0, weight_squared = 0, sum = 0;
  for (std::size_t i = 0; i < value_N.size(); ++i) {
    if (weight_N[i] == 0) continue;
    weight += weight_N[i];
    weight_squared += weight_N[i] * weight_N[i];
    sum += weight_N[i] * value_N[i];
  }
  if (weight == 0) return std::nullopt;
  MeanWithError result{.mean = sum / weight, .error = std::nullopt};
  const double pairs = weight * weight / weight_squared;
  // Rounding aside, it is 1 for one pair of any weight.
  if (pairs < 1 + 1e-9) return result;
  double deviation = 0;
  for (std::size_t i = 0; i < value_N.size(); ++i) {
    if (weight_N[i] == 0) continue;
    const double term = weight_N[i] * (value_N[i] - result.mean);
    deviation += term * term;
  }
  result.error = std::sqrt(pairs / (pairs - 1) * deviation) / weight;
  return result;
}

}  // namespace equipoise
