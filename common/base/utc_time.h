// The time of day as files and messages say it to people on any machine.
#pragma once

#include <array>
#include <ctime>
#include <string>

namespace equipoise {

// Now: "2026-01-31T12:00:00Z".
inline std::string utc_time_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

}  // namespace equipoise
