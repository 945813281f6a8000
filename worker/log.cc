#include "worker/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <array>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <utility>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

constexpr std::array<std::pair<std::string_view, spdlog::level::level_enum>, 5> kLevels = {{
    {"trace", spdlog::level::trace},
    {"debug", spdlog::level::debug},
    {"info", spdlog::level::info},
    {"warning", spdlog::level::warn},
    {"error", spdlog::level::err},
}};

spdlog::level::level_enum level_of(std::string_view name) {
  for (const auto& [known, level] : kLevels) {
    if (known == name) return level;
  }
  throw std::invalid_argument("--log-level is " + quoted_text(name) + ", expected " + log_level_names());
}

// The text of a line, with control characters as spaces: names from data and models could forge lines, and command the
// terminal that shows the log.
class CleanText final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm& /*time*/,
              spdlog::memory_buf_t& destination) override {
    const std::string_view text(message.payload.data(), message.payload.size());
    const std::string line = one_line(text, text.size());
    destination.append(line.data(), line.data() + line.size());
  }
  std::unique_ptr<spdlog::custom_flag_formatter> clone() const override { return std::make_unique<CleanText>(); }
};

}  // namespace

std::string log_level_names() {
  std::string names;
  for (const auto& [name, level] : kLevels) names += (names.empty() ? "" : " | ") + std::string(name);
  return names;
}

std::shared_ptr<spdlog::logger> make_logger(std::string_view program, std::string_view level) {
  auto logger =
      std::make_shared<spdlog::logger>(std::string(program), std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(level_of(level));
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<CleanText>('*').set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n[%P]: %*");
  logger->set_formatter(std::move(formatter));
  logger->flush_on(spdlog::level::warn);
  return logger;
}

}  // namespace equipoise
