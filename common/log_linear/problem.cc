#include "common/log_linear/problem.h"

#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "common/base/message_text.h"

namespace equipoise::log_linear {
namespace {

[[noreturn]] void refuse(const std::string& field, const std::string& found, const std::string& expected) {
  throw std::invalid_argument("policy.log_linear." + field + " is " + found + ", expected " + expected);
}

void check_finite(const std::string& field, std::span<const double> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) refuse(field + "[" + std::to_string(i) + "]", "not finite", "a finite number");
  }
}

// The two features of one state coordinate: position 2j first, 2j + 1 second.
struct FeaturePair {
  double even;
  double odd;
};

FeaturePair feature_pair(FeatureMap map, bool odd_group, double coordinate, double c_a) {
  const double angle = std::numbers::pi * coordinate;
  const double cosine = std::cos(angle);
  const double sine = std::sin(angle);
  if (!odd_group || map == FeatureMap::kSame) return {c_a * cosine, sine / c_a};
  if (map == FeatureMap::kSwapped) return {sine / c_a, c_a * cosine};
  return {c_a * sine, cosine / c_a};
}

double action_scale(const Problem& problem, std::uint32_t action) {
  return static_cast<double>(action) / static_cast<double>(problem.actions) + 1.0;
}

}  // namespace

FeatureMap parse_feature_map(std::string_view name) {
  for (const FeatureMap map : {FeatureMap::kSame, FeatureMap::kSwapped, FeatureMap::kFlipped}) {
    if (name == feature_map_name(map)) return map;
  }
  refuse("features", quoted_text(name), "one of: same, swapped, flipped");
}

std::string_view feature_map_name(FeatureMap map) {
  if (map == FeatureMap::kSame) return "same";
  return map == FeatureMap::kSwapped ? "swapped" : "flipped";
}

void check_problem(const Problem& problem) {
  constexpr std::uint32_t kMostActions = 1u << 20;  // keeps states x actions scores of an evaluation in memory
  if (problem.actions < 2 || problem.actions > kMostActions) {
    refuse("actions", std::to_string(problem.actions), "2 to " + std::to_string(kMostActions));
  }
  if (problem.reward_KD.empty()) refuse("reward", "empty", "a reward vector for each group");
  const std::size_t dim = problem.features_dim();
  if (dim < 2 || dim % 2 != 0) {
    refuse("reward[0]", "of length " + std::to_string(dim), "an even length, two numbers for each state coordinate");
  }
  for (std::size_t g = 0; g < problem.groups(); ++g) {
    const std::string field = "reward[" + std::to_string(g) + "]";
    const std::vector<double>& reward_D = problem.reward_KD[g];
    if (reward_D.size() != dim) {
      refuse(field, "of length " + std::to_string(reward_D.size()), std::to_string(dim) + " like reward[0]");
    }
    check_finite(field, reward_D);
  }
  const std::size_t theta_dim = problem.initial_theta_D.size();
  if (theta_dim != 0 && theta_dim != dim) {
    refuse("initial_theta", "of length " + std::to_string(theta_dim), std::to_string(dim) + " like reward[0]");
  }
  check_finite("initial_theta", problem.initial_theta_D);
}

void write_features(const Problem& problem, std::span<const double> state, std::uint32_t action, std::uint32_t group,
                    std::span<double> phi_D) {
  const double c_a = action_scale(problem, action);
  for (std::size_t j = 0; j < state.size(); ++j) {
    const FeaturePair pair = feature_pair(problem.features, group % 2 == 1, state[j], c_a);
    phi_D[2 * j] = pair.even;
    phi_D[2 * j + 1] = pair.odd;
  }
}

double score(const Problem& problem, std::span<const double> state, std::uint32_t action, std::uint32_t group,
             std::span<const double> weight_D) {
  const double c_a = action_scale(problem, action);
  double sum = 0;
  for (std::size_t j = 0; j < state.size(); ++j) {
    const FeaturePair pair = feature_pair(problem.features, group % 2 == 1, state[j], c_a);
    sum += pair.even * weight_D[2 * j] + pair.odd * weight_D[2 * j + 1];
  }
  return sum;
}

}  // namespace equipoise::log_linear
