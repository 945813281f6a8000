#include "worker/collective/thread_collective.h"

#include "worker/collective/cpu_collective.h"
#include "worker/collective/thread_ranks.h"

namespace equipoise {

void run_ranks(int world_size, const std::function<void(Collective&)>& body) {
  run_host_ranks(world_size, [&](HostRanks& ranks) {
    CpuCollective collective(ranks);
    body(collective);
  });
}

}  // namespace equipoise
