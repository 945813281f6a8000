// A log-linear job on one rank, from its spec to the final parameters.
#pragma once

#include "worker/train/training_run.h"

namespace equipoise {

// Reads the data, iterates, evaluates on validation and test, saves. Nothing is written before all input has been read
// and found good. Throws std::invalid_argument, PeerError, AttemptEnded.
void run_log_linear(const RunContext& context);

}  // namespace equipoise
