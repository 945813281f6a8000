// What ranks do together on their devices: a host collective, and sums of tensors. Its twins: CPU tensors over MPI or,
// in tests, over threads of one process (cpu_collective.h); NCCL on GPU. Errors as common/collective/host_collective.h
// says.
#pragma once

#include <torch/types.h>

#include <chrono>
#include <memory>

#include "common/collective/host_collective.h"
#include "worker/collective/host_ranks.h"

namespace equipoise {

class Collective : public HostCollective {
 public:
  // Starts an in-place sum of `tensor`: contiguous, float32 or float64, on this collective's device. Buckets complete
  // in the order in which they were started.
  virtual std::unique_ptr<PendingSum> start_all_reduce_sum(torch::Tensor tensor) = 0;
};

// Default of every deadline: longer than the slowest thing one rank does alone (writing the model, reading the data).
inline constexpr std::chrono::seconds kCollectiveTimeout{600};

}  // namespace equipoise
