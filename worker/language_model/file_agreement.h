// Whether the data files of a job go together: what one says is not to stand beside a default of another, and groups
// that are nearly the same, or in one split alone, are named.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "common/dataset/data_fields.h"
#include "worker/data/encoded_dataset.h"

namespace equipoise {

// Throws std::invalid_argument naming two files: some have groups and others not, or shares with robust.baseline
// label_entropy; of the training files, or of those of the validation, some have weights or the reference's
// log-probabilities.
void check_files_agree(const JobConfig& config, std::span<const FileFields> train,
                       std::span<const FileFields> validation);

// Lines for the log: groups whose names differ in spaces and capital letters alone; groups of the validation that
// training does not have, and of training that the validation does not have.
std::vector<std::string> group_notes(const EncodedDataset& train, const EncodedDataset& validation);

}  // namespace equipoise
