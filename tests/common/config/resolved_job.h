// A job with every default filled in, as job.yaml of a run has it.
#pragma once

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

inline v1::JobSpec resolved_job(const v1::JobSpec& spec) { return resolve_defaults(spec, make_job_config(spec)); }

}  // namespace equipoise
