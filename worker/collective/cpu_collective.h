// Sums of CPU tensors, over any ranks whose numbers are in host memory: MPI, or the threads of one process.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>

#include "worker/collective/collective.h"
#include "worker/collective/mpi_session.h"

namespace equipoise {

class CpuCollective final : public Collective {
 public:
  // `ranks` outlive it.
  explicit CpuCollective(HostRanks& ranks) : ranks_(ranks) {}
  explicit CpuCollective(std::unique_ptr<HostRanks> ranks) : owned_(std::move(ranks)), ranks_(*owned_) {}

  RankInfo info() const override { return ranks_.info(); }
  void all_reduce_sum(std::span<double> values) override { ranks_.all_reduce_sum(values); }
  void broadcast(std::span<std::byte> bytes, int root) override { ranks_.broadcast(bytes, root); }
  std::unique_ptr<PendingSum> start_all_reduce_sum(torch::Tensor tensor) override;

 private:
  std::unique_ptr<HostRanks> owned_;
  HostRanks& ranks_;
};

// `session` outlives it.
std::unique_ptr<Collective> make_mpi_collective(const MpiSession& session, WaitLimit limit);

// Between the ranks of this host: chooses their devices and their numbers of threads. `session` outlives it.
std::unique_ptr<Collective> make_host_collective(const MpiSession& session, WaitLimit limit);

// As run_host_ranks().
void run_ranks(int world_size, const std::function<void(Collective&)>& body);

}  // namespace equipoise
