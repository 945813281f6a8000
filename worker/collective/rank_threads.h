// How many threads a rank computes with.
#pragma once

#include <span>

#include "common/collective/host_collective.h"

namespace equipoise {

// The cores that this process may use, each shared evenly with the ranks of this host that may use it too: ranks that
// mpirun has bound to cores of their own share nothing. At least 1.
//   ranks_C  [C] how many ranks of this host may use a core, itself included; 0 for a core that it may not use
int threads_of_shares(std::span<const double> ranks_C);

// The same for this rank; OMP_NUM_THREADS has the last word. All ranks of `local` call it together. Throws
// std::invalid_argument for an OMP_NUM_THREADS that is no number of threads.
int threads_per_rank(HostCollective& local);

}  // namespace equipoise
