#include "common/base/number_text.h"

#include <array>
#include <charconv>
#include <stdexcept>

namespace equipoise {

std::string number_text(double value) {
  std::array<char, 32> buffer;  // the longest shortest form of a float64 has 24 characters
  const auto [end, status] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return std::string(buffer.data(), end);
}

void check_number(bool good, const std::string& field, double value, const char* expected) {
  if (!good) throw std::invalid_argument(field + " is " + number_text(value) + ", expected " + expected);
}

}  // namespace equipoise
