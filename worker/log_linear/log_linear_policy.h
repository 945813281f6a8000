// A log-linear policy as the policy that a job trains: theta, D numbers that every rank holds.
#pragma once

#include <memory>

#include "worker/training/training_run.h"

namespace equipoise {

// Reads the data. Throws std::invalid_argument naming file and line, or the setting, at fault. `context` outlives the
// policy.
std::unique_ptr<TrainedPolicy> load_log_linear_policy(const RunContext& context);

}  // namespace equipoise
