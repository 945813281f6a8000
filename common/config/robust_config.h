// Section `robust` of a job.
#pragma once

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Throws std::invalid_argument as make_job_config.
RobustConfig robust_config(const v1::RobustSpec& spec);

}  // namespace equipoise
