// Section `launch` of a job: its settings, their defaults, ranges and checks.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace equipoise {

namespace v1 {
class LaunchSpec;
}  // namespace v1

enum class LaunchMode { kCoordinator, kExternal };

struct LaunchConfig {
  LaunchMode mode = LaunchMode::kCoordinator;
  std::optional<int> workers;
  std::chrono::seconds start_timeout{120};         // until all ranks have registered
  std::map<std::string, std::string> mpi_options;  // parameters of Open MPI, checked
  std::vector<std::string> environment;            // names of variables
  int max_restarts = 3;                            // without a checkpoint between; absent with mode external: 0
  std::optional<int> min_workers;                  // with which the job still goes on; absent: workers
  int priority = 0;
  std::optional<std::chrono::seconds> time_limit;  // in RUNNING, over all attempts

  // With mode coordinator: how many ranks an attempt has at most, and at least.
  int most_ranks() const { return workers.value_or(1); }
  int fewest_ranks() const { return min_workers.value_or(most_ranks()); }
};
inline constexpr int kMostWorkers = 16384;

// Throws std::invalid_argument as make_job_config. Jobs come from anybody who may submit one, so what reaches mpirun is
// a parameter of a fixed list with a value that can only be a network, a port or the name of a transport.
LaunchConfig launch_config(const v1::LaunchSpec& spec);

// Back to the message, every default filled in.
void resolve_launch(const LaunchConfig& config, v1::LaunchSpec& spec);

}  // namespace equipoise
