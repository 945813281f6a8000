#include "client/table/number_format.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace equipoise {
namespace {

constexpr const char* kNone = "\u2013";

std::string formatted(const char* format, double value) {
  char buffer[64];
  const int length = std::snprintf(buffer, sizeof buffer, format, value);
  return std::string(buffer, static_cast<std::size_t>(length));
}

}  // namespace

std::string loss_text(std::optional<double> value) {
  if (!value) return kNone;
  const double size = std::abs(*value);
  const bool fixed = size == 0 || (size >= 1e-4 && size < 1e5);
  return fixed ? formatted("%.4f", *value) : formatted("%.3g", *value);
}

std::string share_text(std::optional<double> value) { return value ? formatted("%.3f", *value) : kNone; }

std::string count_text(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return formatted("%.0f", value);
  return formatted("%.1f", value);
}

std::string speed_text(double value) {
  if (value >= 99.5) return formatted("%.0f", value);
  return value >= 1 ? formatted("%.1f", value) : formatted("%.2f", value);
}

std::string size_text(std::int64_t bytes) {
  constexpr std::array kUnits = {"kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return std::to_string(bytes) + " B";
  double size = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  for (; size >= 999.5 && unit + 1 < kUnits.size(); ++unit) size /= 1000;
  // Three digits.
  const char* const format = size < 9.995 ? "%.2f " : size < 99.95 ? "%.1f " : "%.0f ";
  return formatted(format, size) + kUnits[unit];
}

std::string duration_text(std::chrono::seconds duration) {
  const long long total = duration.count() < 0 ? 0 : duration.count();
  const long long days = total / 86400;
  const long long hours = total / 3600;
  char buffer[64];
  if (days >= 2) {
    std::snprintf(buffer, sizeof buffer, "%lld d %lld h", days, hours % 24);
  } else if (hours > 0) {
    std::snprintf(buffer, sizeof buffer, "%lld:%02lld:%02lld", hours, total / 60 % 60, total % 60);
  } else {
    std::snprintf(buffer, sizeof buffer, "%lld:%02lld", total / 60, total % 60);
  }
  return buffer;
}

}  // namespace equipoise
