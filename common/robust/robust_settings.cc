#include "common/robust/robust_settings.h"

#include <cmath>
#include <span>
#include <stdexcept>
#include <string>

#include "common/base/message_text.h"
#include "common/robust/estimator.h"

namespace equipoise {
namespace {

void check_in_range(const char* name, double value, double lowest, double highest) {
  if (value >= lowest && value <= highest) return;  // false for NaN
  throw std::invalid_argument(std::string("robust.") + name + " is " + number_text(value) + ", expected a number in [" +
                              number_text(lowest) + ", " + number_text(highest) + "]");
}

void check_baseline(std::span<const double> baseline_K, std::size_t num_groups) {
  if (baseline_K.empty()) return;
  if (baseline_K.size() != num_groups) {
    throw std::invalid_argument("the baseline has " + std::to_string(baseline_K.size()) +
                                " numbers, expected one for each of the " + std::to_string(num_groups) + " groups");
  }
  for (std::size_t g = 0; g < num_groups; ++g) {
    if (std::isfinite(baseline_K[g])) continue;
    throw std::invalid_argument("the baseline of group " + std::to_string(g) + " is " + number_text(baseline_K[g]) +
                                ", expected a finite number");
  }
}

}  // namespace

void check_robust_settings(const RobustSettings& settings, std::size_t num_groups) {
  constexpr double kLargest = 1e300;  // stands for "finite" in the message as well
  check_in_range("step_size", settings.step_size, 0, kLargest);
  check_in_range("adjustment", settings.adjustment, 0, kLargest);
  check_in_range("trade_off", settings.trade_off, 0, 1);
  check_in_range("min_weight", settings.min_weight, 0, 1 / static_cast<double>(num_groups));
  check_baseline(settings.baseline_K, num_groups);
  if (!settings.counted_K.empty()) check_group_sizes({settings.counted_K, settings.counted_pairs}, num_groups);
  const auto& given_K = settings.importance_weight_K;
  if (given_K.empty()) return;
  if (given_K.size() != num_groups) {
    throw std::invalid_argument("robust.importance_weights has " + std::to_string(given_K.size()) +
                                " weights, expected one for each of the " + std::to_string(num_groups) + " groups");
  }
  for (std::size_t g = 0; g < num_groups; ++g) {
    if (std::isfinite(given_K[g]) && given_K[g] > 0) continue;
    throw std::invalid_argument("the importance weight of group " + std::to_string(g) + " is " +
                                number_text(given_K[g]) + ", expected > 0");
  }
}

}  // namespace equipoise
