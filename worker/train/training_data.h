// The pairs a job trains and is evaluated on, as token ids. Every rank holds all of them.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "common/config/job_config.h"
#include "common/dataset/strata.h"
#include "worker/data/data_report.h"
#include "worker/data/encoded_pair.h"

namespace equipoise {

struct TrainingData {
  EncodedDataset train;
  EncodedDataset validation;           // its first groups are train's, with the same ids; further ones are its own
  std::array<std::byte, 32> digest{};  // of train
  // With robust.baseline label_entropy: what each group's loss cannot fall below, by the ids of its data; else empty.
  std::vector<double> train_floor_K, validation_floor_K;
  std::optional<Strata> strata;    // of train, with training.sampling stratified
  std::vector<FileReading> files;  // that were read: train, and validation if there is one

  std::size_t num_groups() const { return train.group_names.size(); }
};

// Reads the files named in `config`, as token ids from the cache where it has them (dataset_loader.h); `threads` are
// for tokenising. data.group_counts replaces the counted N_g. Throws std::invalid_argument naming file, line and field;
// a group whose pairs were all dropped; a group count or a share for a group that is not in the data, or none for one
// that is.
TrainingData load_training_data(const JobConfig& config, int threads);

// The pairs of data.train alone, as an evaluation reads them: a group may have none. Throws as load_training_data for
// what concerns files and pairs.
EncodedDataset load_evaluation_data(const JobConfig& config, int threads);

}  // namespace equipoise
