#include "coordinator/launch/mpirun_command.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <sstream>
#include <string_view>

#include "common/base/bounded_file.h"
#include "common/base/service_access.h"

extern char** environ;

namespace equipoise::coordinator {
namespace {

constexpr std::uintmax_t kLargestMcaFile = 1 << 20;
constexpr std::string_view kPrefix = "OMPI_MCA_";

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\"");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\"") - begin + 1));
}

void read_file(const std::filesystem::path& file, std::map<std::string, std::string>& parameters) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return;  // as most are
  std::istringstream stream(read_bounded_file(file, kLargestMcaFile, "a file of MCA parameters"));
  for (std::string line; std::getline(stream, line);) {
    line.erase(std::min(line.find('#'), line.size()));
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    parameters.emplace(trimmed(std::string_view(line).substr(0, equals)),
                       trimmed(std::string_view(line).substr(equals + 1)));
  }
}

}  // namespace

McaParameters read_mca_parameters(std::span<const std::string> environment,
                                  std::span<const std::filesystem::path> files) {
  McaParameters parameters;
  for (const std::string& variable : environment) {
    const std::size_t equals = variable.find('=');
    if (!variable.starts_with(kPrefix) || equals == std::string::npos) continue;
    parameters.of_environment.emplace(variable.substr(kPrefix.size(), equals - kPrefix.size()),
                                      variable.substr(equals + 1));
  }
  for (const auto& file : files) read_file(file, parameters.of_files);
  return parameters;
}

std::vector<std::filesystem::path> mca_files(std::span<const std::string> environment) {
  constexpr std::string_view kHome = "HOME=";
  std::vector<std::filesystem::path> files;
  for (const std::string& variable : environment) {
    if (!variable.starts_with(kHome)) continue;
    files.push_back(std::filesystem::path(variable.substr(kHome.size())) / ".openmpi" / "mca-params.conf");
  }
  files.emplace_back("/etc/openmpi/openmpi-mca-params.conf");
  return files;
}

std::vector<std::string> own_environment() {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  return variables;
}

namespace {

constexpr std::array<std::string_view, 4> kPassedPrefixes = {"NCCL_", "EQUIPOISE_", "CUDA_", "OMP_"};
// How a user calls some service. What ranks need of it is in the settings of the launch; their token is their own.
constexpr std::array<std::string_view, 5> kServiceVariables = {kTlsCaVariable, kTlsCertVariable, kTlsKeyVariable,
                                                               kTokenFileVariable, kRootsVariable};
constexpr const char* kList = "mca_base_env_list";
constexpr const char* kListDelimiter = "mca_base_env_list_delimiter";

std::string_view name_of(std::string_view variable) { return variable.substr(0, variable.find('=')); }

bool is_plain_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

// NAME or NAME=value, as the operator's list has them.
std::vector<std::string> items_of_list(const McaParameters& mca) {
  const auto value = [&](const char* name, const std::string& absent) {
    if (const auto set = mca.of_environment.find(name); set != mca.of_environment.end()) return set->second;
    const auto set = mca.of_files.find(name);
    return set == mca.of_files.end() ? absent : set->second;
  };
  const std::string list = value(kList, ""), delimiter = value(kListDelimiter, ";");
  std::vector<std::string> items(1);
  for (const char c : list) {
    if (delimiter.find(c) == std::string::npos) {
      items.back() += c;
    } else {
      items.emplace_back();
    }
  }
  std::erase_if(items, [](const std::string& item) { return !is_plain_name(name_of(item)); });
  return items;
}

void remove_list(const McaParameters& mca, RankEnvironment& result) {
  for (const char* name : {kList, kListDelimiter}) {
    if (mca.of_environment.contains(name)) result.removed.push_back(std::string("OMPI_MCA_") + name);
  }
}

}  // namespace

RankEnvironment rank_environment(std::span<const std::string> environment, const McaParameters& mca,
                                 std::span<const std::string> named, Allocation allocation) {
  RankEnvironment result;
  std::set<std::string> wanted(named.begin(), named.end());
  std::set<std::string> passed{kAttemptTokenVariable};
  for (const std::string& item : items_of_list(mca)) {
    wanted.insert(std::string(name_of(item)));
    if (item.find('=') == std::string::npos) continue;
    result.added.push_back(item);
    passed.insert(std::string(name_of(item)));
  }
  for (const std::string& variable : environment) {
    const std::string name(name_of(variable));
    if (std::ranges::find(kServiceVariables, name) != kServiceVariables.end()) continue;
    const bool has_prefix =
        std::ranges::any_of(kPassedPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (is_plain_name(name) && (has_prefix || wanted.contains(name))) passed.insert(name);
  }
  result.passed.assign(passed.begin(), passed.end());
  result.removed = variables_hidden_from_mpirun(allocation);
  remove_list(mca, result);
  result.removed.insert(result.removed.end(), kServiceVariables.begin(), kServiceVariables.end());
  // With one of these mpirun goes on without a rank that has died, and ends with 0.
  result.removed.insert(result.removed.end(), {"OMPI_MCA_orte_enable_recovery", "PRTE_MCA_prte_enable_recovery"});
  if (allocation == Allocation::kIgnored) {
    result.removed.insert(result.removed.end(), kWaysOfBatchSystems.begin(), kWaysOfBatchSystems.end());
  }
  return result;
}

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
constexpr NetworkChoice kRanks{.name = "btl_tcp_if_", .loopback = "127.0.0.0/8,sppp"};
constexpr NetworkChoice kDaemons{.name = "oob_tcp_if_", .loopback = "lo"};

void add_parameter(std::vector<std::string>& command, const std::string& name, const std::string& value) {
  command.insert(command.end(), {"--mca", name, value});
}

// What is to be excluded for `choice`; empty: Open MPI takes an include or an exclude, so ours gives way to anybody's
// choice, and to necessity where this machine has nothing else.
std::string excluded_networks(const NetworkChoice& choice, const LaunchRequest& request, const LaunchPlace& place) {
  const std::string include = std::string(choice.name) + "include", exclude = std::string(choice.name) + "exclude";
  const bool has_network = std::ranges::any_of(
      place.interfaces, [](const std::string& name) { return std::ranges::find(kBridges, name) == kBridges.end(); });
  const bool is_chosen = request.mpi_options.contains(include) || request.mpi_options.contains(exclude) ||
                         place.mca.is_set(include) || place.mca.is_set(exclude);
  if (!has_network || is_chosen) return "";
  std::string networks = choice.loopback;
  for (const std::string_view bridge : kBridges) networks.append(",").append(bridge);
  return networks;
}

bool is_of_this_machine(const LaunchSettings& settings, const LaunchRequest& request) {
  return request.hosts.empty() && settings.allocation == Allocation::kIgnored;
}

}  // namespace

std::vector<std::string> mpirun_variables(const LaunchSettings& settings, const LaunchRequest& request,
                                          const LaunchPlace& place) {
  if (is_of_this_machine(settings, request)) return {"PRTE_MCA_prte_default_hostfile=none"};
  const std::string networks = excluded_networks(kDaemons, request, place);
  if (networks.empty()) return {};
  return {std::string(kPrefix) + kDaemons.name + "exclude=" + networks};
}

std::vector<std::string> mpirun_command(const LaunchSettings& settings, const LaunchRequest& request,
                                        const LaunchPlace& place) {
  std::vector<std::string> command{settings.mpirun.string()};
  if (place.run_as == RunAs::kRoot) command.emplace_back("--allow-run-as-root");
  command.insert(command.end(), {"--bind-to", "none", "--oversubscribe", "-np", std::to_string(request.workers)});
  const bool has_hosts = !request.hosts.empty();
  // By slot: ranks fill the hosts in their order, whatever the operator's default is.
  if (has_hosts) command.insert(command.end(), {"--map-by", "slot", "--hostfile", place.hostfile.string()});
  // A default hostfile of the installation names other machines.
  const bool is_local = is_of_this_machine(settings, request);
  if (is_local) add_parameter(command, "orte_default_hostfile", "none");
  // Without these a dead host is noticed after 8 minutes only; with them after time + intvl * probes = 16 s.
  add_parameter(command, "oob_tcp_keepalive_time", "10");
  add_parameter(command, "oob_tcp_keepalive_intvl", "2");
  add_parameter(command, "oob_tcp_keepalive_probes", "3");
  const std::string networks = is_local ? "" : excluded_networks(kRanks, request, place);
  if (!networks.empty()) add_parameter(command, std::string(kRanks.name) + "exclude", networks);
  for (const auto& [name, value] : request.mpi_options) add_parameter(command, name, value);
  if (request.is_question) {
    command.insert(command.end(), {"--timeout", "30"});
    if (request.processes.empty()) {
      command.emplace_back("true");
      return command;
    }
    command.insert(command.end(), {settings.worker.string(), "processes"});
    for (const EarlierProcess& process : request.processes) command.push_back(earlier_process_text(process));
    return command;
  }
  for (const std::string& name : place.passed) command.insert(command.end(), {"-x", name});
  command.insert(command.end(),
                 {settings.worker.string(), "--coordinator", settings.coordinator_address, "--job",
                  request.attempt.job_id, "--start-timeout", std::to_string(request.start_timeout.count()), "--wait",
                  std::to_string(settings.rank_wait.count())});
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
