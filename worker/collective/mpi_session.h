// Ranks over MPI.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "common/collective/host_collective.h"
#include "worker/collective/host_ranks.h"
#include "worker/collective/wait_limit.h"

namespace equipoise {

// The first contact of all ranks. Open MPI connects ranks when they first speak to each other, and waits for ever where
// a firewall drops what they say or the address it chose leads elsewhere. So each rank hears from every other one
// before anything else, within a time.

// Ends the process with one line on standard error when it is still there a little after its time: for calls of MPI
// that do not return.
class StartWatch {
 public:
  explicit StartWatch(std::chrono::seconds timeout);
  ~StartWatch();
  StartWatch(const StartWatch&) = delete;
  StartWatch& operator=(const StartWatch&) = delete;

  bool is_over() const { return std::chrono::steady_clock::now() >= end_; }
  std::chrono::seconds timeout() const { return timeout_; }

 private:
  void run();

  const std::chrono::seconds timeout_;
  const std::chrono::steady_clock::time_point end_;
  std::mutex mutex_;  // guards has_started_
  std::condition_variable changed_;
  bool has_started_ = false;
  std::thread thread_;
};

// Exchanges a message with every other rank; beyond 256 of them with those whose distance is a power of two, over which
// collectives run. After MPI_Init. Throws PeerError naming the ranks that have not answered.
void greet_other_ranks(RankInfo info, const StartWatch& watch);

// "rank 1 on node2 (eth0 10.0.0.2) has waited 120 s for WHOM: ..." and what to look at.
std::string not_reached_text(const std::string& rank, const std::string& whom, std::chrono::seconds waited);

// MPI_Init_thread in the constructor, MPI_Finalize in the destructor. One a process, made before any other thread.
// Leaving a process without destroying it makes mpirun end the other ranks: that is the way out after an error.
class MpiSession {
 public:
  // Returns when all ranks have answered each other over MPI. Throws PeerError, or ends the process where Open MPI does
  // not return, with a line that names this host, its interfaces and the ranks that have not answered in time.
  explicit MpiSession(std::chrono::seconds start_timeout = std::chrono::seconds(120));
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  RankInfo info() const { return info_; }
  // Position among, and number of, the ranks on this host.
  RankInfo local() const { return local_; }

 private:
  friend std::unique_ptr<HostRanks> make_local_mpi_ranks(const MpiSession& session, WaitLimit limit);
  struct LocalRanks;  // MPI's communicator of the ranks on this host

  RankInfo info_;
  RankInfo local_;
  std::unique_ptr<LocalRanks> local_ranks_;
};

// `session` outlives it. Sums use MPI_Iallreduce, which for the same world size gives the same bits every time.
std::unique_ptr<HostRanks> make_mpi_ranks(const MpiSession& session, WaitLimit limit);

// Between the ranks of this host. `session` outlives it.
std::unique_ptr<HostRanks> make_local_mpi_ranks(const MpiSession& session, WaitLimit limit);

}  // namespace equipoise
