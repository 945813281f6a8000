#include "common/config/launch_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "common/base/message_text.h"
#include "common/config/field_check.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

static_assert(same_enums<v1::LaunchMode, LaunchMode>(v1::LaunchMode_MAX,
                                                     {{v1::LAUNCH_MODE_COORDINATOR, LaunchMode::kCoordinator},
                                                      {v1::LAUNCH_MODE_EXTERNAL, LaunchMode::kExternal}}));

namespace {

constexpr std::int64_t kLongestStart = 86400;  // seconds: a day
constexpr std::int64_t kMostRestarts = 1000;
constexpr std::int64_t kHighestPriority = 1000;
constexpr std::int64_t kLongestLimit = 1'000'000'000;  // seconds: 30 years
constexpr std::size_t kLongestValue = 1024;
constexpr int kMostVariables = 256;
constexpr int kLargestPort = 65535;

enum class OptionKind { kNetworks, kDevices, kPort, kPortCount, kPorts, kTransports };

struct MpiOption {
  std::string_view name;
  OptionKind kind;
};

// What chooses a network, ports or a transport. Nothing that names a program, a file or a host is here.
constexpr std::array kMpiOptions{MpiOption{"btl", OptionKind::kTransports},
                                 MpiOption{"btl_openib_if_exclude", OptionKind::kDevices},
                                 MpiOption{"btl_openib_if_include", OptionKind::kDevices},
                                 MpiOption{"btl_tcp_if_exclude", OptionKind::kNetworks},
                                 MpiOption{"btl_tcp_if_include", OptionKind::kNetworks},
                                 MpiOption{"btl_tcp_port_min_v4", OptionKind::kPort},
                                 MpiOption{"btl_tcp_port_range_v4", OptionKind::kPortCount},
                                 MpiOption{"oob_tcp_dynamic_ipv4_ports", OptionKind::kPorts},
                                 MpiOption{"oob_tcp_if_exclude", OptionKind::kNetworks},
                                 MpiOption{"oob_tcp_if_include", OptionKind::kNetworks},
                                 MpiOption{"pml", OptionKind::kTransports}};

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool consists_of(std::string_view text, std::string_view others) {
  return std::ranges::all_of(text,
                             [&](char c) { return is_letter_or_digit(c) || others.find(c) != std::string_view::npos; });
}

// Comma-separated items of letters, digits and `others`, none of them empty and none like an option of a program.
bool is_list(std::string_view text, std::string_view others) {
  while (true) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, end);
    if (item.empty() || item.front() == '-' || !consists_of(item, others)) return false;
    if (end == text.size()) return true;
    text.remove_prefix(end + 1);
  }
}

bool is_number_to(std::string_view text, int largest) {
  int number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && number >= 1 && number <= largest;
}

// "50000" or "50000-50100"
bool is_port_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return is_number_to(text, kLargestPort);
  return is_number_to(text.substr(0, dash), kLargestPort) && is_number_to(text.substr(dash + 1), kLargestPort);
}

// Empty: the value is right; else what would be.
std::string wanted_of(OptionKind kind, std::string_view value) {
  switch (kind) {
    case OptionKind::kNetworks:
      return is_list(value, "._:/-") ? "" : "interfaces or networks such as eth0,10.0.0.0/8";
    case OptionKind::kDevices:
      return is_list(value, "_:-") ? "" : "devices such as mlx5_0,mlx5_1:1";
    case OptionKind::kPort:
      return is_number_to(value, kLargestPort) ? "" : "a port from 1 to 65535";
    case OptionKind::kPortCount:
      return is_number_to(value, kLargestPort) ? "" : "a number of ports from 1 to 65535";
    case OptionKind::kPorts:
      return is_port_range(value) ? "" : "ports such as 50000-50100";
    case OptionKind::kTransports:
      return is_list(value.starts_with('^') ? value.substr(1) : value, "_") ? "" : "names such as tcp,self or ^openib";
  }
  return "";
}

std::string known_options() {
  std::string names;
  for (const MpiOption& option : kMpiOptions) names += (names.empty() ? "" : ", ") + std::string(option.name);
  return names;
}

void check_option(const std::string& name, const std::string& value) {
  const auto known = std::ranges::find(kMpiOptions, name, &MpiOption::name);
  if (known == kMpiOptions.end()) {
    refuse_field("launch.mpi_options", "a mapping with " + quoted_text(name), "names among " + known_options());
  }
  const std::string wanted = value.size() > kLongestValue ? "at most 1024 bytes" : wanted_of(known->kind, value);
  if (!wanted.empty()) refuse_field("launch.mpi_options." + name, quoted_text(value), wanted);
}

std::map<std::string, std::string> checked_options(const google::protobuf::Map<std::string, std::string>& options) {
  std::map<std::string, std::string> checked(options.begin(), options.end());  // in an order of its own
  for (const auto& [name, value] : checked) check_option(name, value);
  for (const std::string network : {"btl_tcp_if_", "oob_tcp_if_", "btl_openib_if_"}) {
    if (!checked.contains(network + "include") || !checked.contains(network + "exclude")) continue;
    refuse_combination("launch.mpi_options has both " + network + "include and " + network +
                       "exclude, of which Open MPI takes one; remove one of them");
  }
  return checked;
}

// mpirun gives ranks their variables of these names itself.
bool is_of_launcher(std::string_view name) {
  return name.starts_with("OMPI_") || name.starts_with("PMIX_") || name.starts_with("PRTE_") ||
         name == "EQUIPOISE_ATTEMPT_TOKEN";
}

std::vector<std::string> checked_variables(const google::protobuf::RepeatedPtrField<std::string>& names) {
  if (names.size() > kMostVariables) {
    refuse_field("launch.environment", "a list of " + std::to_string(names.size()) + " names",
                 "at most " + std::to_string(kMostVariables));
  }
  for (const std::string& name : names) {
    const bool is_name = !name.empty() && name.size() <= kLongestValue && consists_of(name, "_") &&
                         (name.front() < '0' || name.front() > '9');
    if (!is_name) {
      refuse_field("launch.environment", quoted_text(name),
                   "names of variables such as HF_HOME; their values are those of the coordinator's environment");
    }
    if (is_of_launcher(name)) {
      refuse_field("launch.environment", quoted_text(name), "a variable that is not the launcher's own");
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace

LaunchConfig launch_config(const v1::LaunchSpec& spec) {
  LaunchConfig config;
  set_enum(config.mode, "launch.mode", spec.mode(), v1::LaunchMode_descriptor());
  if (config.mode == LaunchMode::kCoordinator) config.workers = 1;
  if (spec.has_workers()) {
    config.workers = static_cast<int>(checked_integer("launch.workers", spec.workers(), {1, kMostWorkers}));
  }
  if (spec.has_start_timeout_seconds()) {
    config.start_timeout = std::chrono::seconds(
        checked_integer("launch.start_timeout_seconds", spec.start_timeout_seconds(), {1, kLongestStart}));
  }
  if (spec.has_max_restarts()) {
    config.max_restarts =
        static_cast<int>(checked_integer("launch.max_restarts", spec.max_restarts(), {0, kMostRestarts}));
  }
  if (spec.has_priority()) {
    config.priority =
        static_cast<int>(checked_integer("launch.priority", spec.priority(), {-kHighestPriority, kHighestPriority}));
  }
  if (spec.has_time_limit_seconds()) {
    config.time_limit = std::chrono::seconds(
        checked_integer("launch.time_limit_seconds", spec.time_limit_seconds(), {1, kLongestLimit}));
  }
  if (spec.has_min_workers()) {
    if (config.mode != LaunchMode::kCoordinator) {
      refuse_combination(
          "launch.min_workers needs launch.mode coordinator; without launch.workers any number of your ranks will do");
    }
    config.min_workers =
        static_cast<int>(checked_integer("launch.min_workers", spec.min_workers(), {1, config.most_ranks()}));
  }
  config.mpi_options = checked_options(spec.mpi_options());
  config.environment = checked_variables(spec.environment());
  if (config.mode == LaunchMode::kCoordinator) return config;
  if (!spec.has_max_restarts()) config.max_restarts = 0;
  if (!config.mpi_options.empty()) {
    refuse_combination("launch.mpi_options needs launch.mode coordinator; give them to your mpirun, with --mca");
  }
  if (!config.environment.empty()) {
    refuse_combination("launch.environment needs launch.mode coordinator; give them to your mpirun, with -x");
  }
  return config;
}

void resolve_launch(const LaunchConfig& config, v1::LaunchSpec& spec) {
  spec.set_mode(message_enum<v1::LaunchMode>(config.mode));
  if (config.workers) spec.set_workers(*config.workers);
  spec.set_start_timeout_seconds(static_cast<std::int32_t>(config.start_timeout.count()));
  spec.set_priority(config.priority);
  spec.set_max_restarts(config.max_restarts);
}

}  // namespace equipoise
