// Whether what a job is to read is there, and its output free: asked before any process is started.
#pragma once

#include "common/config/job_config.h"

namespace equipoise {

// Throws std::invalid_argument naming the field, the path and what is missing.
void check_job_inputs(const JobConfig& job);

}  // namespace equipoise
