// Ranks as threads of one process: the twin that tests use.
#pragma once

#include <functional>

#include "worker/collective/host_ranks.h"

namespace equipoise {

// Runs body(ranks) on `world_size` threads and returns when all have ended. When one throws, the others' waits end with
// PeerError, and the first exception is rethrown here.
void run_host_ranks(int world_size, const std::function<void(HostRanks&)>& body);

}  // namespace equipoise
