#include "coordinator/service/log_sink.h"

#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>

namespace equipoise::coordinator {
namespace {

// Of a pipe: that 4 KiB fit. Files always are.
bool takes_a_line(int descriptor) {
  pollfd asked{.fd = descriptor, .events = POLLOUT, .revents = 0};
  return ::poll(&asked, 1, 0) > 0 && (asked.revents & POLLOUT) != 0;
}

}  // namespace

void ErrorStreamSink::log(const spdlog::details::log_msg& message) {
  const std::lock_guard lock(one_line_at_a_time_);
  if (lost_ > 0 && takes_a_line(STDERR_FILENO)) {
    const std::string text = std::to_string(std::exchange(lost_, 0)) + " lines of the log could not be written";
    write({message.logger_name, spdlog::level::warn, text});
  }
  write(message);
}

void ErrorStreamSink::write(const spdlog::details::log_msg& message) {
  const bool is_tried = takes_a_line(STDERR_FILENO);
  if (is_tried) spdlog::sinks::ansicolor_stderr_sink_mt::log(message);
  const bool is_lost = !is_tried || std::ferror(stderr) != 0;
  std::clearerr(stderr);
  if (is_lost) ++lost_;
}

}  // namespace equipoise::coordinator
