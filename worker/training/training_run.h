// A job on one rank, from its settings to the saved policy: the one training loop.
#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/config/job_config.h"
#include "worker/client/heartbeat.h"
#include "worker/collective/collective.h"
#include "worker/training/attempt.h"
#include "worker/training/trained_policy.h"

namespace equipoise {

struct RunContext {
  CoordinatorClient& client;
  spdlog::logger& log;
  Heartbeat& heartbeat;
  const Registration& registration;
  const JobConfig& config;                        // of registration.spec
  Collective& host;                               // all ranks
  Collective& local;                              // those of this machine
  int threads;                                    // for tokenising
  std::string device = "cpu";                     // that language models compute on
  std::string_view program = "equipoise-worker";  // with its version
};

// Reads the job's files; the policy is as it is before the first step.
using PolicyLoader = std::function<std::unique_ptr<TrainedPolicy>(const RunContext& context)>;

// Loads the policy, trains, evaluates, stops early, saves. Nothing is written before all input has been read and found
// good. Throws std::invalid_argument, PeerError, AttemptEnded.
void run_training(const RunContext& context, const PolicyLoader& load_policy);

}  // namespace equipoise
