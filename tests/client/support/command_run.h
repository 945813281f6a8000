// One run of the command inside the test's process.
#pragma once

#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "client/command_line/run_command.h"

namespace equipoise {

struct CommandRun {
  ExitCode code;
  std::string out;
  std::string err;
};

inline CommandRun run(std::vector<std::string> arguments, std::span<const AddVerb> further = {}) {
  std::ostringstream out;
  std::ostringstream err;
  const ExitCode code = run_command(std::move(arguments), Console{.out = out, .err = err}, further);
  return {code, out.str(), err.str()};
}

}  // namespace equipoise
