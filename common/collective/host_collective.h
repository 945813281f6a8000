// What ranks do together with numbers in host memory: all that a log-linear job needs, and a language model beside its
// gradients. Its twins are MPI and threads (worker/collective/host_ranks.h), NCCL, and one rank alone.
//
// Error policy: every wait has a deadline. When it passes, or the transport fails, PeerError is thrown, names the
// operation, the rank and the time waited, and the object must not be used again: the process ends, it never goes on in
// place. All ranks call the same operations in the same order. One thread at a time.
#pragma once

#include <cstddef>
#include <span>

namespace equipoise {

struct RankInfo {
  int rank = 0;
  int world_size = 1;
};

class HostCollective {
 public:
  virtual ~HostCollective() = default;

  virtual RankInfo info() const = 0;

  // In place over all ranks; every rank gets the same bits.
  virtual void all_reduce_sum(std::span<double> values) = 0;

  // `bytes` of `root` go to every rank; all ranks pass the same length.
  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;
};

// One rank, with nobody to wait for: sums and broadcasts are what they are.
class SingleRank final : public HostCollective {
 public:
  RankInfo info() const override { return {}; }
  void all_reduce_sum(std::span<double> /*values*/) override {}
  void broadcast(std::span<std::byte> /*bytes*/, int /*root*/) override {}
};

}  // namespace equipoise
