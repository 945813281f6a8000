#include "coordinator/service/log_format.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/base/message_text.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kLongestLogLine = 3500;  // with the time before it less than 4 KiB, which a pipe takes whole

}  // namespace

OneLineFormatter::OneLineFormatter(std::string pattern) : pattern_(std::move(pattern)), formatter_(pattern_) {}

void OneLineFormatter::format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& destination) {
  const std::string_view text(message.payload.data(), message.payload.size());
  const std::string line = one_line(text, std::min(text.size(), kLongestLogLine));
  spdlog::details::log_msg clean = message;
  clean.payload = line;
  formatter_.format(clean, destination);
  // Where the sink puts its colours.
  message.color_range_start = clean.color_range_start;
  message.color_range_end = clean.color_range_end;
}

std::unique_ptr<spdlog::formatter> OneLineFormatter::clone() const {
  return std::make_unique<OneLineFormatter>(pattern_);
}

}  // namespace equipoise::coordinator
