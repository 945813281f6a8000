// The files of section `data` of a job.
#pragma once

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Sets train, validation, train_files, validation_files and group_columns. Throws std::invalid_argument as
// make_job_config.
void set_data_files(DataConfig& config, const v1::DataSpec& spec);

// Throws std::invalid_argument where several files, weights or group columns do not go with other settings.
void check_data_files_combinations(const JobConfig& config);

// Back to the message: names of validation files, group columns.
void resolve_data_files(const DataConfig& config, v1::DataSpec& spec);

}  // namespace equipoise
