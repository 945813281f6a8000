// The pairs a job trains and is evaluated on, as token ids. Every rank holds all of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "common/dataset/strata.h"
#include "worker/data/data_report.h"
#include "worker/data/encoded_dataset.h"

namespace equipoise {

struct TrainingData {
  EncodedDataset train;       // pair_count_K: N_g, by data.group_counts where that is given
  EncodedDataset validation;  // its first groups are train's, with the same ids; further ones are its own
  // N_g > 0 as counted in train; with weights of files those of the mixture (worker/data/file_mixture.h).
  std::vector<double> counted_K;
  // v_i of mean 1 (pair_weights.h), of train in each file where files have weights; empty: all are 1.
  std::vector<double> train_weight_N, validation_weight_N;
  double num_pairs = 0;                // N of what train.pair_count_K are sizes in: common/config/group_settings.h
  std::array<std::byte, 32> digest{};  // of train, and where its files end if they have weights
  // With robust.baseline label_entropy: what each group's loss cannot fall below, by the ids of its data; else empty.
  std::vector<double> train_floor_K, validation_floor_K;
  // Of train: with training.sampling stratified its groups, with weights of files these.
  std::optional<Strata> strata;

  // Of data.validation_files, whose pairs follow each other; empty with data.validation.
  std::vector<std::string> validation_names;
  std::vector<std::int64_t> validation_pairs_F;
  std::vector<std::vector<double>> validation_counts_FK;  // N_g by the ids of validation

  std::vector<FileReading> train_files, validation_files;  // that were read

  std::size_t num_groups() const { return train.group_names.size(); }
};

// Reads the files named in `config`, as token ids from the cache where it has them (dataset_loader.h); `threads` are
// for tokenising. data.group_counts replaces the counted N_g. Throws std::invalid_argument naming file, line and field;
// a group or a file with a weight whose pairs were all dropped; a group count or a share for a group that is not in the
// data, or none for one that is; files that do not go together (file_agreement.h).
//   on_progress  called now and then while files are tokenised
TrainingData load_training_data(const JobConfig& config, int threads, std::function<void()> on_progress = {});

// The pairs of data.train alone, as an evaluation reads them, with what a user should know of them, a line each: a
// group may have none. Throws as load_training_data for what concerns files and pairs.
struct EvaluationData {
  EncodedDataset pairs;
  std::vector<std::string> notes;
};
EvaluationData load_evaluation_data(const JobConfig& config, int threads);

}  // namespace equipoise
