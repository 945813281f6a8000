#include "experiments/report/significant_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace equipoise::reproduce {

std::string significant_text(double value) { return significant_text(value, 3); }

std::string significant_text(double value, int digits) {
  const double size = std::abs(value);
  const std::string sign = std::signbit(value) && size > 0 ? "−" : "";
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return sign + "inf";
  if (size == 0) return "0";
  std::array<char, 64> buffer{};
  char* const end = buffer.data() + buffer.size();
  std::to_chars_result result{};
  if (size < 1e-4 || size >= 1e9) {
    result = std::to_chars(buffer.data(), end, size, std::chars_format::scientific, digits - 1);
  } else {
    const int decimals = std::max(0, digits - 1 - static_cast<int>(std::floor(std::log10(size))));
    result = std::to_chars(buffer.data(), end, size, std::chars_format::fixed, decimals);
  }
  return sign + std::string(buffer.data(), result.ptr);
}

}  // namespace equipoise::reproduce
