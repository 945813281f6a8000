// The command line of equipoise-coordinator.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "coordinator/server/coordinator_server.h"

namespace equipoise::coordinator {

// What the program does in place of serving.
enum class StateCheck { kNone, kCheck, kQuarantine };

struct Options {
  ServerSettings server;
  std::optional<std::filesystem::path> announce;
  std::optional<std::filesystem::path> private_folder;  // to be removed by an orphan
  bool exit_with_parent = false;
  StateCheck state_check = StateCheck::kNone;
  std::string log_level = "info";
};

// nullopt: --help or --version was asked for and has been printed.
// Throws std::invalid_argument naming the flag, the value and what would be right.
std::optional<Options> parse_options(int argc, const char* const* argv);

}  // namespace equipoise::coordinator
