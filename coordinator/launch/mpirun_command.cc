#include "coordinator/launch/mpirun_command.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace equipoise::coordinator {
namespace {

// Bridges of container and virtual machine software have the same addresses on every host: Open MPI would connect to
// itself and wait. Names that a host does not have are ignored.
constexpr std::array<std::string_view, 11> kBridges = {"docker0",     "docker_gwbridge", "podman0", "cni0",
                                                       "cni-podman0", "virbr0",          "virbr1",  "lxcbr0",
                                                       "lxdbr0",      "incusbr0",        "nerdctl0"};

// What keeps Open MPI's ranks and daemons off the loopback interface, in place of their own defaults.
struct NetworkChoice {
  const char* name;
  const char* loopback;
};
constexpr std::array kNetworkChoices{NetworkChoice{.name = "btl_tcp_if_", .loopback = "127.0.0.0/8,sppp"},
                                     NetworkChoice{.name = "oob_tcp_if_", .loopback = "lo"}};

void add_parameter(std::vector<std::string>& command, const std::string& name, const std::string& value) {
  command.insert(command.end(), {"--mca", name, value});
}

// Open MPI takes an include or an exclude, so ours gives way to anybody's choice; and to necessity where this machine
// has nothing else.
void add_networks(std::vector<std::string>& command, const LaunchRequest& request, const LaunchPlace& place) {
  const bool has_network = std::ranges::any_of(
      place.interfaces, [](const std::string& name) { return std::ranges::find(kBridges, name) == kBridges.end(); });
  if (!has_network) return;
  for (const NetworkChoice& choice : kNetworkChoices) {
    const std::string include = std::string(choice.name) + "include", exclude = std::string(choice.name) + "exclude";
    const bool is_chosen = request.mpi_options.contains(include) || request.mpi_options.contains(exclude) ||
                           place.mca.is_set(include) || place.mca.is_set(exclude);
    if (is_chosen) continue;
    std::string networks = choice.loopback;
    for (const std::string_view bridge : kBridges) networks.append(",").append(bridge);
    add_parameter(command, exclude, networks);
  }
}

}  // namespace

std::vector<std::string> mpirun_command(const LaunchSettings& settings, const LaunchRequest& request,
                                        const LaunchPlace& place) {
  std::vector<std::string> command{settings.mpirun.string()};
  if (place.run_as == RunAs::kRoot) command.emplace_back("--allow-run-as-root");
  command.insert(command.end(), {"--bind-to", "none", "--oversubscribe", "-np", std::to_string(request.workers)});
  const bool has_hosts = !request.hosts.empty();
  // By slot: ranks fill the hosts in their order, whatever the operator's default is.
  if (has_hosts) command.insert(command.end(), {"--map-by", "slot", "--hostfile", place.hostfile.string()});
  // A default hostfile of the installation names other machines.
  const bool is_local = !has_hosts && settings.allocation == Allocation::kIgnored;
  if (is_local) add_parameter(command, "orte_default_hostfile", "none");
  // Without these a dead host is noticed after 8 minutes only; with them after time + intvl * probes = 16 s.
  add_parameter(command, "oob_tcp_keepalive_time", "10");
  add_parameter(command, "oob_tcp_keepalive_intvl", "2");
  add_parameter(command, "oob_tcp_keepalive_probes", "3");
  if (!is_local) add_networks(command, request, place);
  for (const auto& [name, value] : request.mpi_options) add_parameter(command, name, value);
  for (const std::string& name : place.passed) command.insert(command.end(), {"-x", name});
  command.insert(command.end(),
                 {settings.worker.string(), "--coordinator", settings.coordinator_address, "--job",
                  request.attempt.job_id, "--start-timeout", std::to_string(request.start_timeout.count())});
  return command;
}

std::vector<std::string> overruled_variables(const LaunchRequest& request) {
  std::vector<std::string> names;
  for (const std::string choice : {"btl_tcp_if_", "oob_tcp_if_", "btl_openib_if_"}) {
    const std::string include = choice + "include", exclude = choice + "exclude";
    if (request.mpi_options.contains(include)) names.push_back("OMPI_MCA_" + exclude);
    if (request.mpi_options.contains(exclude)) names.push_back("OMPI_MCA_" + include);
  }
  return names;
}

}  // namespace equipoise::coordinator
