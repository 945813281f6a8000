// The whole command: arguments in, exit code out.
#pragma once

#include <string>
#include <vector>

#include "client/console.h"
#include "client/exit_code.h"

namespace equipoise {

// `arguments` without the program's name. Writes what the user is to read; an error is one line "equipoise VERB: ...".
// Never throws.
ExitCode run_command(std::vector<std::string> arguments, const Console& console);

}  // namespace equipoise
