// What this machine has for a rank: the memory that is left, and the threads to compute with.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "common/collective/host_collective.h"

namespace equipoise {

// What this machine has left of its memory.

// Bytes that processes may still take: MemAvailable of proc/meminfo, or what is left below memory.max of the process's
// control group (version 2) and of those around it, whichever is less. `root` is "/", but for tests. 0: not known.
std::size_t free_host_memory(const std::filesystem::path& root);

// How many threads a rank computes with.

// The cores that this process may use, each shared evenly with the ranks of this host that may use it too: ranks that
// mpirun has bound to cores of their own share nothing. At least 1.
//   ranks_C  [C] how many ranks of this host may use a core, itself included; 0 for a core that it may not use
int threads_of_shares(std::span<const double> ranks_C);

// The same for this rank; OMP_NUM_THREADS has the last word. All ranks of `local` call it together. Throws
// std::invalid_argument for an OMP_NUM_THREADS that is no number of threads.
int threads_per_rank(HostCollective& local);

}  // namespace equipoise
