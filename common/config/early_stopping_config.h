// Section `training.early_stopping` of a job.
#pragma once

#include <optional>

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Throws std::invalid_argument as make_job_config. Whether the metric exists is known when the data has been read.
std::optional<EarlyStoppingConfig> early_stopping_config(const v1::TrainingSpec& spec);

// Throws std::invalid_argument where nothing is evaluated while the job trains.
void check_early_stopping_combinations(const JobConfig& config);

// Back to the message, every default filled in.
void resolve_early_stopping(const EarlyStoppingConfig& config, v1::EarlyStoppingSpec& spec);

}  // namespace equipoise
