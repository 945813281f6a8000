// What a running job is asked for: to pause, to go on, to make a checkpoint, to evaluate.
#pragma once

#include <string>

#include "client/command_line/shared_flags.h"
#include "client/console/console.h"

namespace equipoise {

// Shows progress until the job has a new checkpoint; returns it as it is then. Throws CommandError where none was made.
v1::TrainingJob checkpoint_now(const CoordinatorFlags& coordinator, const std::string& id, const Console& console);

}  // namespace equipoise
