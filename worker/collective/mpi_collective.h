// The ranks of an MpiSession with sums of CPU tensors.
#pragma once

#include <chrono>
#include <memory>

#include "worker/collective/collective.h"
#include "worker/collective/mpi_session.h"

namespace equipoise {

// `session` outlives it.
std::unique_ptr<Collective> make_mpi_collective(const MpiSession& session, std::chrono::seconds timeout);

// Between the ranks of this host: chooses their devices and their numbers of threads. `session` outlives it.
std::unique_ptr<Collective> make_host_collective(const MpiSession& session, std::chrono::seconds timeout);

}  // namespace equipoise
