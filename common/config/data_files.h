// The training and validation files of a job, whichever of its settings name them.
#pragma once

#include <vector>

#include "common/config/job_config.h"

namespace equipoise {

// data.train or data.train_files, and data.validation (without a name of its own) or data.validation_files. Each has
// either a group or group_columns: its own, else data.group_columns, else `group`.
std::vector<DataFile> training_files(const DataConfig& config);
std::vector<DataFile> validation_files(const DataConfig& config);

// Whether the training files have weights: common/dataset/file_mixture.h.
bool is_mixture(const DataConfig& config);

}  // namespace equipoise
