// A language model as the policy that a job trains: all of its weights, or an adapter.
#pragma once

#include <memory>

#include "worker/collective/gpu_library.h"
#include "worker/training/training_run.h"

namespace equipoise {

// Reads data and model. Throws std::invalid_argument naming file and line, or the setting, at fault.
//   context, device  outlive the policy
std::unique_ptr<TrainedPolicy> load_language_model(const RunContext& context, const DeviceCollective& device);

}  // namespace equipoise
