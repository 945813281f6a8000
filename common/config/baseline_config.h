// The fields of section `robust` that say what a group's loss is compared with: baseline, group_baselines.
#pragma once

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Throws std::invalid_argument as make_job_config.
void set_baseline(RobustConfig& config, const v1::RobustSpec& spec);

// Settings of the baseline that contradict those of the loss or of the weights, and what a loss that may be negative
// does not go with.
void check_baseline_combinations(const JobConfig& config);

}  // namespace equipoise
