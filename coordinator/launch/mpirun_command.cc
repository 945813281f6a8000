#include "coordinator/launch/mpirun_command.h"

namespace equipoise::coordinator {

std::vector<std::string> mpirun_command(const LaunchSettings& settings, const LaunchRequest& request, RunAs run_as) {
  std::vector<std::string> command{settings.mpirun.string()};
  if (run_as == RunAs::kRoot) command.emplace_back("--allow-run-as-root");
  command.insert(command.end(), {"--bind-to", "none", "--oversubscribe", "-np", std::to_string(request.workers)});
  if (settings.hostfile) command.insert(command.end(), {"--hostfile", settings.hostfile->string()});
  // A default hostfile of the installation names other machines.
  const bool is_local = !settings.hostfile && settings.allocation == Allocation::kIgnored;
  if (is_local) command.insert(command.end(), {"--mca", "orte_default_hostfile", "none"});
  // Without these a dead host is noticed after 8 minutes only; with them after time + intvl * probes = 16 s.
  command.insert(command.end(), {"--mca", "oob_tcp_keepalive_time", "10",  //
                                 "--mca", "oob_tcp_keepalive_intvl", "2",  //
                                 "--mca", "oob_tcp_keepalive_probes", "3"});
  command.insert(command.end(), {"-x", kAttemptTokenVariable, settings.worker.string(),  //
                                 "--coordinator", settings.coordinator_address, "--job", request.attempt.job_id});
  return command;
}

}  // namespace equipoise::coordinator
