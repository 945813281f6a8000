// Section `launch` of a job.
#pragma once

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Throws std::invalid_argument as make_job_config. Jobs come from anybody who may submit one, so what reaches mpirun is
// a parameter of a fixed list with a value that can only be a network, a port or the name of a transport.
LaunchConfig launch_config(const v1::LaunchSpec& spec);

// Back to the message, every default filled in.
void resolve_launch(const LaunchConfig& config, v1::LaunchSpec& spec);

}  // namespace equipoise
