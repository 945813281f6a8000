// Ranks whose numbers are in host memory, with sums that are started and waited for later: what a collective of CPU
// tensors is made of. Knows nothing of LibTorch.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "common/collective/host_collective.h"

namespace equipoise {

// A sum on its way. Destroying it without wait() leaves its numbers undefined.
class PendingSum {
 public:
  virtual ~PendingSum() = default;
  // Returns when the numbers are the sum (on GPU: when the current stream is ordered behind it).
  virtual void wait() = 0;
};

class HostRanks : public HostCollective {
 public:
  // Starts an in-place sum of `values`, which stay where they are until it is done. Sums are done in the order in which
  // they were started.
  virtual std::unique_ptr<PendingSum> start_sum(std::span<double> values) = 0;
  virtual std::unique_ptr<PendingSum> start_sum(std::span<float> values) = 0;
};

// Ranks as threads of one process: the twin that tests use.

// Runs body(ranks) on `world_size` threads and returns when all have ended. When one throws, the others' waits end with
// PeerError, and the first exception is rethrown here.
void run_host_ranks(int world_size, const std::function<void(HostRanks&)>& body);

}  // namespace equipoise
