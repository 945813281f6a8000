// The folder a run writes into.
#pragma once

#include "common/config/job_config.h"
#include "common/dataset/shard_plan.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Looks, and changes nothing. Throws std::invalid_argument if config.output cannot be a run's folder: something else
// than a folder, not to be written, holding a run that may not be replaced, or one of the job's own inputs is what
// would be replaced.
void check_output(const JobConfig& config);

// Makes the folder with job.yaml, every default of `spec` and the sampling of `plan` filled in, after check_output.
// Removes what an earlier run left there; its final/ is kept as final.previous/ until discard_previous_run. Throws
// std::invalid_argument if the folder cannot be written.
void prepare_output(const JobConfig& config, const v1::JobSpec& spec, const ShardPlan& plan);

// The new final/ is whole: the one before it may go.
void discard_previous_run(const JobConfig& config);

}  // namespace equipoise
