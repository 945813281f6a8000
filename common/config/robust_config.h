// Section `robust` of a job: its settings, their defaults, ranges and checks. What the algorithm itself takes is
// RobustSettings, with its defaults. docs/development.md says how an ambiguity set is added.
#pragma once

#include <map>
#include <string>

#include "common/robust/robust_settings.h"

namespace equipoise {

namespace v1 {
class RobustSpec;
}  // namespace v1
struct JobConfig;

enum class Baseline { kNone, kLabelEntropy, kGiven };
enum class WeightOrigin { kCoordinator, kSpeculative };

struct RobustConfig {
  RobustSettings settings;  // importance_weight_K, baseline_K left empty: they need the group table
  std::map<std::string, double> importance_weights;
  Baseline baseline = Baseline::kNone;
  std::map<std::string, double> group_baselines;
  bool paper_compat = false;
  WeightOrigin weight_sync = WeightOrigin::kCoordinator;
};

// Throws std::invalid_argument as make_job_config.
RobustConfig robust_config(const v1::RobustSpec& spec);

// Settings of the baseline that contradict those of the loss or of the weights, what a loss that may be negative does
// not go with, and weights of another mode.
void check_robust_combinations(const JobConfig& config);

// Only what the mode uses: the resolved file says what the run did.
void resolve_robust(const JobConfig& config, v1::RobustSpec& spec);

}  // namespace equipoise
