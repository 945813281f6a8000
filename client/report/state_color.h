// The colours of states in tables: few, so that what went wrong stands out.
#pragma once

#include <string>

#include "client/console/console.h"

namespace equipoise {

// Of "RUNNING", "FAILED", ... of a job; of "READY", "CORDONED", ... of a host; of "ok", "WRONG" of a check.
TextColor job_state_color(const std::string& state);
TextColor host_state_color(const std::string& state);
TextColor verdict_color(const std::string& verdict);

}  // namespace equipoise
