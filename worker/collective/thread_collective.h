// Ranks as threads of one process: the twin that tests use.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "worker/collective/collective.h"

namespace equipoise {

// Runs body(collective) on `world_size` threads and returns when all have ended. When one throws, the others' waits end
// with PeerError, and the first exception is rethrown here.
void run_ranks(int world_size, const std::function<void(Collective&)>& body);

}  // namespace equipoise
