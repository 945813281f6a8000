// Section `optimizer` of a job.
#pragma once

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Defaults differ by the policy of `job`. Throws std::invalid_argument as make_job_config.
OptimizerConfig optimizer_config(const v1::JobSpec& job);

}  // namespace equipoise
