#include "common/config/group_settings.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

// Empty where the job gives none.
std::vector<double> by_group(const std::string& field, const std::map<std::string, double>& numbers,
                             const std::vector<std::string>& group_names) {
  std::vector<double> number_K;
  if (numbers.empty()) return number_K;
  for (const std::string& name : group_names) {
    const auto number = numbers.find(name);
    if (number == numbers.end()) {
      throw std::invalid_argument(field + " has none for group " + quoted_text(name) +
                                  ", expected one for each group of the training data");
    }
    number_K.push_back(number->second);
  }
  for (const auto& [name, number] : numbers) {
    if (std::ranges::find(group_names, name) != group_names.end()) continue;
    throw std::invalid_argument(field + " names group " + quoted_text(name) +
                                ", which the training data does not have");
  }
  return number_K;
}

}  // namespace

RobustSettings robust_settings_for(const RobustConfig& config, const std::vector<std::string>& group_names,
                                   std::span<const double> label_floor_K, CountedPairs counted) {
  RobustSettings settings = config.settings;
  settings.importance_weight_K = by_group("robust.importance_weights", config.importance_weights, group_names);
  settings.baseline_K = by_group("robust.group_baselines", config.group_baselines, group_names);
  if (config.baseline == Baseline::kLabelEntropy)
    settings.baseline_K.assign(label_floor_K.begin(), label_floor_K.end());
  settings.counted_K.assign(counted.counted_K.begin(), counted.counted_K.end());
  settings.counted_pairs = counted.num_pairs;
  return settings;
}

std::vector<double> group_counts_for(const DataConfig& data, const std::vector<std::string>& group_names,
                                     std::span<const double> counted_K) {
  std::vector<double> count_K = by_group("data.group_counts", data.group_counts, group_names);
  if (count_K.empty()) count_K.assign(counted_K.begin(), counted_K.end());
  return count_K;
}

namespace {

std::string robust_mode_text(RobustMode mode) {
  return std::string("robust.mode is ") + (mode == RobustMode::kImportance ? "importance" : "group_robust");
}

}  // namespace

void check_several_groups(RobustMode mode, const std::vector<std::string>& group_names, const std::string& hint) {
  if (mode == RobustMode::kNone || group_names.size() > 1) return;
  throw std::invalid_argument(robust_mode_text(mode) + ", but the training data has a single group, " +
                              quoted_text(group_names.front()) + ", expected two or more; " + hint);
}

void check_groups_differ(RobustMode mode, const std::vector<std::string>& group_names, bool differ) {
  if (mode == RobustMode::kNone || differ) return;
  throw std::invalid_argument(robust_mode_text(mode) + ", but every pair of the training data is in all " +
                              std::to_string(group_names.size()) + " groups alike (" +
                              quoted_text(group_names.front()) + ", " + quoted_text(group_names.back()) +
                              ", ...), so that their losses are one; expected groups of different pairs");
}

Sampling sampling_for(const TrainingConfig& training, std::size_t num_groups, std::int64_t num_pairs) {
  if (training.sampling != Sampling::kAutomatic) return training.sampling;
  const bool has_places = training.global_batch_size >= static_cast<std::int64_t>(num_groups);
  return has_places && training.global_batch_size < num_pairs ? Sampling::kStratified : Sampling::kPermutation;
}

double population_size(std::span<const double> given_K, std::span<const double> counted_K, double num_pairs) {
  const double given = std::accumulate(given_K.begin(), given_K.end(), 0.0);
  return num_pairs * (given / std::accumulate(counted_K.begin(), counted_K.end(), 0.0));
}

}  // namespace equipoise
