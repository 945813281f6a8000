// Log lines of the programs: one format, to stderr.
//   2026-03-01T12:00:00.123Z warning equipoise-worker[4711]: step 41: rank 3 is 12 s late
#pragma once

#include <spdlog/logger.h>

#include <memory>
#include <string>
#include <string_view>

namespace equipoise {

// "trace | debug | info | warning | error": the values of --log-level.
std::string log_level_names();

// A logger of `program` that shows lines of `level` and above and flushes each warning. May be used from several
// threads. Nothing global: main() makes it and passes it on (shared_ptr is how spdlog hands loggers around).
// Throws std::invalid_argument for another level.
std::shared_ptr<spdlog::logger> make_logger(std::string_view program, std::string_view level);

}  // namespace equipoise
