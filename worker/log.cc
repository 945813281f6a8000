#include "worker/log.h"

#include <spdlog/sinks/stdout_sinks.h>

#include <array>
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
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n[%P]: %v", spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::warn);
  return logger;
}

}  // namespace equipoise
