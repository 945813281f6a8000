// The folder a run writes into.
#pragma once

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Throws std::invalid_argument if config.output is something else than a folder.
void check_output(const JobConfig& config);

// Makes the folder with job.yaml, every default of `spec` filled in. Removes what an earlier run left there if it may
// be replaced. Throws std::invalid_argument if it may not, or the folder cannot be written.
void prepare_output(const JobConfig& config, const v1::JobSpec& spec);

}  // namespace equipoise
