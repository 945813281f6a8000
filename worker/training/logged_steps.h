// Which steps have a line in metrics.jsonl.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/config/job_config.h"

namespace equipoise {

// steps_done >= 1: the step that has just been done.
inline bool is_logged(const LoggingConfig& logging, std::int64_t steps_done) {
  if (logging.at_steps.empty()) return steps_done % logging.every_steps == 0;
  return std::ranges::binary_search(logging.at_steps, steps_done);
}

}  // namespace equipoise
