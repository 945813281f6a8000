// A job on one rank, from its spec to the saved model.
#pragma once

#include <spdlog/logger.h>

#include "worker/collective/gpu_library.h"
#include "worker/train/attempt.h"

namespace equipoise {

struct RunContext {
  CoordinatorClient& client;
  spdlog::logger& log;
  Heartbeat& heartbeat;
  const Registration& registration;
  Collective& host;                          // all ranks
  Collective& local;                         // those of this machine
  int threads;                               // for tokenising
  const DeviceCollective* device = nullptr;  // language models
};

// Reads data and model, computes the reference's log-probs, trains, evaluates, saves. Nothing is written before all
// input has been read and found good. Throws std::invalid_argument, PeerError, AttemptEnded.
void run_training(const RunContext& context);

}  // namespace equipoise
