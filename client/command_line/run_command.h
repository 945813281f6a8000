// The whole command: arguments in, exit code out.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "client/console/console.h"

namespace CLI {
class App;
}

namespace equipoise {

// A verb from outside of client/, as verb.h declares those of the command itself.
using AddVerb = void (*)(CLI::App& parent, std::function<void(const Console&)>& chosen);

// `arguments` without the program's name. Writes what the user is to read; an error is one line "equipoise VERB: ...".
// `further` verbs stand after the command's own in its help. Never throws.
ExitCode run_command(std::vector<std::string> arguments, const Console& console, std::span<const AddVerb> further = {});

}  // namespace equipoise
