#include "worker/collective/mpi_collective.h"

#include "worker/collective/cpu_collective.h"

namespace equipoise {

std::unique_ptr<Collective> make_mpi_collective(const MpiSession& session, std::chrono::seconds timeout) {
  return std::make_unique<CpuCollective>(make_mpi_ranks(session, timeout));
}

std::unique_ptr<Collective> make_host_collective(const MpiSession& session, std::chrono::seconds timeout) {
  return std::make_unique<CpuCollective>(make_local_mpi_ranks(session, timeout));
}

}  // namespace equipoise
