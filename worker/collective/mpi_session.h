// Ranks over MPI.
#pragma once

#include <chrono>
#include <memory>

#include "worker/collective/host_ranks.h"

namespace equipoise {

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
  friend std::unique_ptr<HostRanks> make_local_mpi_ranks(const MpiSession& session, std::chrono::seconds timeout);
  struct LocalRanks;  // MPI's communicator of the ranks on this host

  RankInfo info_;
  RankInfo local_;
  std::unique_ptr<LocalRanks> local_ranks_;
};

// `session` outlives it. Sums use MPI_Iallreduce, which for the same world size gives the same bits every time.
std::unique_ptr<HostRanks> make_mpi_ranks(const MpiSession& session, std::chrono::seconds timeout);

// Between the ranks of this host. `session` outlives it.
std::unique_ptr<HostRanks> make_local_mpi_ranks(const MpiSession& session, std::chrono::seconds timeout);

}  // namespace equipoise
