// Section `optimizer` of a job.
#pragma once

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Defaults differ by the policy of `job`. Throws std::invalid_argument as make_job_config.
OptimizerConfig optimizer_config(const v1::JobSpec& job);

// Settings that another optimiser, another schedule or an evaluation would need. Throws std::invalid_argument naming
// the field and the next move.
void check_optimizer_combinations(const v1::JobSpec& spec, const JobConfig& config);

// Back to the message: what the optimiser uses, every default filled in.
void resolve_optimizer(const OptimizerConfig& config, v1::OptimizerSpec& spec);

}  // namespace equipoise
