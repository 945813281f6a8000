#include "common/robust/log_simplex.h"

#include <algorithm>
#include <cmath>

namespace equipoise {
namespace {

// log(sum exp(log_weight - shift)) where shift is the largest: between 0 and log K.
double log_sum_above(std::span<const double> log_weight_K, double shift) {
  constexpr double kNegligible = -700;  // exp of less is near or below the slow subnormal numbers
  double sum = 0;
  for (const double log_weight : log_weight_K) {
    const double below = log_weight - shift;
    if (below > kNegligible) sum += std::exp(below);
  }
  return std::log(sum);
}

double largest(std::span<const double> log_weight_K) {
  return *std::max_element(log_weight_K.begin(), log_weight_K.end());
}

}  // namespace

double log_sum_exp(std::span<const double> log_weight_K) {
  const double shift = largest(log_weight_K);
  return shift + log_sum_above(log_weight_K, shift);
}

void normalize_log_simplex(std::span<double> log_weight_K) {
  const double shift = largest(log_weight_K);
  const double log_sum = log_sum_above(log_weight_K, shift);
  // Two subtractions: log_sum would be rounded away next to a huge shift.
  for (double& log_weight : log_weight_K) log_weight = std::max(log_weight - shift - log_sum, kLowestLogWeight);
}

}  // namespace equipoise
