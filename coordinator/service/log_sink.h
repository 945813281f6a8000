// Where the lines of the coordinator's log go: standard error, which may be a pipe that nobody reads or a file on a
// full disk.
#pragma once

#include <spdlog/sinks/ansicolor_sink.h>

#include <cstdint>
#include <mutex>

namespace equipoise::coordinator {

// Never waits: a line that cannot be written at once is left out, and how many were is said before the next one. For
// lines of less than 4 KiB. Any thread.
class ErrorStreamSink final : public spdlog::sinks::ansicolor_stderr_sink_mt {
 public:
  void log(const spdlog::details::log_msg& message) override;

 private:
  void write(const spdlog::details::log_msg& message);

  std::mutex one_line_at_a_time_;  // guards lost_
  std::uint64_t lost_ = 0;
};

}  // namespace equipoise::coordinator
