// The pairs a log-linear job trains and is evaluated on. Every rank holds all of them: a pair is D numbers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/sha256.h"
#include "common/config/job_config.h"
#include "common/dataset/strata.h"
#include "common/log_linear/pair_matrix.h"
#include "common/log_linear/preference.h"

namespace equipoise {

struct LogLinearData {
  log_linear::PairMatrix train;
  std::optional<log_linear::PairMatrix> validation;  // each of its groups has pairs
  std::vector<log_linear::Preference> test;          // empty: no test file
  std::vector<std::string> group_names;              // [K]  "0", "1", ...: the group of a line, as text
  std::vector<double> counted_K;                     // N_g > 0 in train
  std::vector<double> pair_count_K;                  // N_g > 0, by data.group_counts where that is given
  double num_pairs = 0;                              // N of what pair_count_K are sizes in: group_settings.h
  Digest digest{};                                   // of train
  Digest validation_digest{};                        // of validation; zeros: there is none
  // With robust.baseline label_entropy: what each group's loss cannot fall below, [K]; else empty.
  std::vector<double> train_floor_K, validation_floor_K;
  std::optional<Strata> strata;    // of train: its groups, with training.sampling stratified
  std::vector<std::string> notes;  // on the files' fields, for the log: a line each
};

// Reads the files named in `config`, a job with config.log_linear.
// Throws std::invalid_argument naming file, line and field; a group without pairs; a group count or a share for a group
// that is not in the data, or none for one that is.
LogLinearData load_log_linear_data(const JobConfig& config);

}  // namespace equipoise
