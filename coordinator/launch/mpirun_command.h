// The command line that starts an attempt's ranks.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/process/batch_system.h"
#include "coordinator/launch/launcher.h"

namespace equipoise::coordinator {

inline constexpr const char* kAttemptTokenVariable = "EQUIPOISE_ATTEMPT_TOKEN";

struct LaunchSettings {
  std::filesystem::path mpirun;                   // absolute, or a name to be found in PATH
  std::filesystem::path worker;                   // absolute
  std::optional<std::filesystem::path> hostfile;  // of the operator; absent: this machine, or the allocation
  Allocation allocation = Allocation::kIgnored;
  std::filesystem::path logs;       // <logs>/<job>/<generation>/{stdout,stderr}.log
  std::string coordinator_address;  // as ranks reach it
};

enum class RunAs { kRoot, kUser };

// mpirun's argument vector. The token is not in it: it travels in the environment.
std::vector<std::string> mpirun_command(const LaunchSettings& settings, const LaunchRequest& request, RunAs run_as);

}  // namespace equipoise::coordinator
