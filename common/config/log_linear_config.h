// The part of a job that only log-linear policies have, and what such a job cannot have.
#pragma once

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Throws std::invalid_argument as make_job_config.
LogLinearConfig log_linear_config(const v1::LogLinearSpec& spec);

// Settings that the policy of the job has no use for, or that need another one. `config` holds all other sections.
// Throws std::invalid_argument naming the field and the next move.
void check_policy_combinations(const v1::JobSpec& spec, const JobConfig& config);

}  // namespace equipoise
