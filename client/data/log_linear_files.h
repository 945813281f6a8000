// `equipoise data log-linear`: a synthetic problem for log-linear policies, as files that `equipoise train` runs.
#pragma once

#include <cstdint>
#include <filesystem>

#include "client/data/preference_generator.h"
#include "common/log_linear/problem.h"

namespace equipoise {

struct LogLinearFilesOptions {
  log_linear::Problem problem;
  log_linear::GeneratorSettings train;  // its seed is also the others'
  std::uint64_t evaluation_size = 500;  // validation and test pairs of each group
};

struct LogLinearFiles {
  std::filesystem::path train, validation, test, job;
};

// Draws the three data sets, each from random numbers of its own, and writes them and job.yaml (GR-DPO on the full
// batch) into `output`, which is made if it is not there. With the paper's problem and sizes these are the pairs that
// `equipoise reproduce bandits` trains on with the same seed.
// Throws std::invalid_argument, before anything is written, for a problem or sizes out of range and where `output` has
// a job.yaml already.
LogLinearFiles write_log_linear_files(const LogLinearFilesOptions& options, const std::filesystem::path& output);

}  // namespace equipoise
