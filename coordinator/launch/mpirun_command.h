// The command line that starts an attempt's ranks.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/process/batch_system.h"
#include "coordinator/launch/launcher.h"
#include "coordinator/launch/mca_parameters.h"
#include "coordinator/launch/rank_environment.h"

namespace equipoise::coordinator {

struct LaunchSettings {
  std::filesystem::path mpirun;  // absolute, or a name to be found in PATH
  std::filesystem::path worker;  // absolute
  Allocation allocation = Allocation::kIgnored;
  std::filesystem::path logs;       // <logs>/<job>/<generation>/{stdout.log,stderr.log,hosts}
  std::string coordinator_address;  // as ranks reach it
};

enum class RunAs { kRoot, kUser };

// What differs from launch to launch beside the request.
struct LaunchPlace {
  std::filesystem::path hostfile;       // with the request's hosts, if it has any
  std::vector<std::string> passed;      // names of variables
  const McaParameters& mca;             // the operator's
  std::vector<std::string> interfaces;  // names of this machine's, as network_interfaces()
  RunAs run_as = RunAs::kUser;
};

// mpirun's argument vector. The token is not in it: it travels in the environment.
std::vector<std::string> mpirun_command(const LaunchSettings& settings, const LaunchRequest& request,
                                        const LaunchPlace& place);

// Variables of the operator that contradict the request's own mpi_options: mpirun must not get them.
std::vector<std::string> overruled_variables(const LaunchRequest& request);

}  // namespace equipoise::coordinator
