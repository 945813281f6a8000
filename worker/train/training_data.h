// The pairs a job trains and is evaluated on, as token ids. Every rank holds all of them.
#pragma once

#include <array>
#include <cstddef>

#include "common/config/job_config.h"
#include "worker/data/encoded_pair.h"

namespace equipoise {

struct TrainingData {
  EncodedDataset train;
  EncodedDataset validation;           // its first groups are train's, with the same ids; further ones are its own
  std::array<std::byte, 32> digest{};  // of train

  std::size_t num_groups() const { return train.group_names.size(); }
};

// Reads and tokenises the files named in `config`; data.group_counts replaces the counted N_g.
// Throws std::invalid_argument naming file, line and field; a group whose pairs were all dropped; a group count for
// a group that is not in the data, or none for one that is.
TrainingData load_training_data(const JobConfig& config, const ModelTokenizer& tokenizer, int threads);

}  // namespace equipoise
