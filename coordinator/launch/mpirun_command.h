// The command line that starts an attempt's ranks, and the environment that mpirun and the ranks get.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/process/batch_system.h"
#include "coordinator/launch/launcher.h"

namespace equipoise::coordinator {

// What the operator has set for Open MPI beside the command line: variables OMPI_MCA_NAME and files "NAME = VALUE".
struct McaParameters {
  std::map<std::string, std::string> of_environment;
  std::map<std::string, std::string> of_files;

  bool is_set(const std::string& name) const { return of_environment.contains(name) || of_files.contains(name); }
};

// `environment` has "NAME=value"; of several files that set a parameter the first counts. One that cannot be read sets
// nothing.
McaParameters read_mca_parameters(std::span<const std::string> environment,
                                  std::span<const std::filesystem::path> files);

// The files that mpirun reads: of the user whose home is in `environment`, then of the machine.
std::vector<std::filesystem::path> mca_files(std::span<const std::string> environment);

// This process's, as "NAME=value".
std::vector<std::string> own_environment();

// Which of the coordinator's variables mpirun and the ranks get. mpirun has all of them but `removed`; ranks on other
// hosts have what is passed to them by name.
inline constexpr const char* kAttemptTokenVariable = "EQUIPOISE_ATTEMPT_TOKEN";

struct RankEnvironment {
  std::vector<std::string> passed;   // names, for mpirun -x; the token's is among them
  std::vector<std::string> added;    // NAME=value, in mpirun's environment
  std::vector<std::string> removed;  // names that mpirun does not get
};

// Passed are NCCL_*, EQUIPOISE_*, CUDA_*, OMP_*, `named` (launch.environment) and what the operator has put into
// OMPI_MCA_mca_base_env_list, as far as `environment` ("NAME=value") has them; but not those that say how a user calls
// another service (EQUIPOISE_TLS_CA, EQUIPOISE_TOKEN_FILE, ...): ranks get what LaunchSettings says. Open MPI refuses
// that list beside -x, so it is taken apart here.
RankEnvironment rank_environment(std::span<const std::string> environment, const McaParameters& mca,
                                 std::span<const std::string> named, Allocation allocation);

// Whether processes of attempts outlive the coordinator.
enum class Chain {
  kToCoordinator,  // they end with it, however it ends
  kNone,           // they go on, for the next coordinator
};

struct LaunchSettings {
  std::filesystem::path mpirun;  // absolute, or a name to be found in PATH
  std::filesystem::path worker;  // absolute
  Allocation allocation = Allocation::kIgnored;
  std::filesystem::path logs;           // <logs>/<job>/<generation>/{stdout.log,stderr.log,hosts}
  std::string coordinator_address;      // as ranks reach it
  std::chrono::seconds rank_wait{30};   // for the coordinator, whenever it is away
  std::filesystem::path attempts = {};  // <attempts>/<job>.<generation>; empty: beside the logs
  std::filesystem::path shim = {};      // absolute; empty: equipoise-shim beside this program
  Chain chain = Chain::kToCoordinator;
  std::vector<std::string> variables = {};  // NAME=value: ranks get them
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

// Settings for the daemons below mpirun as "NAME=value", for its environment: there Open MPI 4 reads those of OMPI_MCA_
// and passes over PRTE_MCA_, Open MPI 5 the other way round. On the command line 5 takes both for its own, and its
// daemon crashes where an interface that is to be excluded is not on its host.
std::vector<std::string> mpirun_variables(const LaunchSettings& settings, const LaunchRequest& request,
                                          const LaunchPlace& place);

// Variables of the operator that contradict the request's own mpi_options: mpirun must not get them.
std::vector<std::string> overruled_variables(const LaunchRequest& request);

}  // namespace equipoise::coordinator
