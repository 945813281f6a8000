#include "worker/collective/rank_threads.h"

#include <sched.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>

#include "common/base/environment.h"

namespace equipoise {

int threads_of_shares(std::span<const double> ranks_C) {
  double cores = 0;
  for (const double ranks : ranks_C) {
    if (ranks > 0) cores += 1 / ranks;
  }
  // A third of three cores is one core, whatever its last bit says.
  return std::max(1, static_cast<int>(cores + 1e-6));
}

int threads_per_rank(HostCollective& local) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  std::array<double, CPU_SETSIZE> ranks_C{};
  const bool is_known = sched_getaffinity(0, sizeof(cores), &cores) == 0;
  for (std::size_t core = 0; is_known && core < ranks_C.size(); ++core) ranks_C[core] = CPU_ISSET(core, &cores) ? 1 : 0;
  const std::array<double, CPU_SETSIZE> mine_C = ranks_C;
  local.all_reduce_sum(ranks_C);
  for (std::size_t core = 0; core < ranks_C.size(); ++core) ranks_C[core] *= mine_C[core];
  return thread_setting() ? torch::get_num_threads() : threads_of_shares(ranks_C);
}

}  // namespace equipoise
