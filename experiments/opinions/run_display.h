// The progress of one run among many: a line drawn again in place on a terminal, nothing elsewhere.
#pragma once

#include <memory>
#include <string>

#include "client/console.h"
#include "client/progress/progress_display.h"

namespace equipoise::reproduce {

// `prefix`: "5/21  ", before the run's own line. finish() clears the line: what is to stay is for the caller to write.
std::unique_ptr<ProgressDisplay> make_run_display(const Console& console, std::string prefix);

}  // namespace equipoise::reproduce
