// What the shell is told.
#pragma once

#include <stdexcept>
#include <string>

#include "common/base/error.h"

namespace equipoise {

enum class ExitCode : int {
  kSuccess = 0,
  kFailure = 1,       // the job, a process or the machine failed
  kBadInput = 2,      // an argument, a file, a setting; a coordinator that is not there
  kInterrupted = 130  // Ctrl-C
};

// Ends a command with a code of its own. The message is one sentence for the user.
class CommandError : public std::runtime_error {
 public:
  CommandError(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

}  // namespace equipoise
