// What ranks do together. One interface, three twins: MPI on CPU, NCCL on GPU, threads of one process in tests.
//
// Error policy: every wait has a deadline. When it passes, or the transport fails, PeerError is thrown, names the
// operation, the rank and the time waited, and the object must not be used again: the process ends, it never goes on in
// place. All ranks call the same operations in the same order. One thread at a time.
#pragma once

#include <torch/types.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>

namespace equipoise {

struct RankInfo {
  int rank = 0;
  int world_size = 1;
};

// A sum on its way. Destroying it without wait() leaves the tensor undefined.
class PendingSum {
 public:
  virtual ~PendingSum() = default;
  // Returns when the tensor holds the sum (on GPU: when the current stream is ordered behind it).
  virtual void wait() = 0;
};

class Collective {
 public:
  virtual ~Collective() = default;

  virtual RankInfo info() const = 0;

  // In place over all ranks; every rank gets the same bits.
  virtual void all_reduce_sum(std::span<double> values) = 0;

  // Starts an in-place sum of `tensor`: contiguous, float32 or float64, on this collective's device. Buckets complete
  // in the order in which they were started.
  virtual std::unique_ptr<PendingSum> start_all_reduce_sum(torch::Tensor tensor) = 0;

  // `bytes` of `root` go to every rank; all ranks pass the same length.
  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;
};

// Default of every deadline: longer than the slowest thing one rank does alone (writing the model, reading the data).
inline constexpr std::chrono::seconds kCollectiveTimeout{600};

}  // namespace equipoise
