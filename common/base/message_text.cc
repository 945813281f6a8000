#include "common/base/message_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace equipoise {
namespace {

unsigned char byte_at(std::string_view text, std::size_t i) { return static_cast<unsigned char>(text[i]); }

// Length of the well-formed character at the start of `text`, 0 if there is none. Unicode 15, table 3-7.
std::size_t character_length(std::string_view text) {
  const unsigned char first = byte_at(text, 0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (text.size() < length) return 0;
  const unsigned char lowest = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned char highest = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (byte_at(text, 1) < lowest || byte_at(text, 1) > highest) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((byte_at(text, i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

// Terminals take U+0080 to U+009F for controls too: U+009B begins a command as ESC [ does.
bool is_late_control(std::string_view text) {
  return text.size() > 1 && byte_at(text, 0) == 0xC2 && byte_at(text, 1) >= 0x80 && byte_at(text, 1) < 0xA0;
}

void append_escaped(std::string& result, unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  result += "\\x";
  result += kDigits[byte >> 4];
  result += kDigits[byte & 15];
}

}  // namespace

std::string counted(std::int64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string quoted_text(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  std::string result = "\"";
  std::size_t i = 0;
  while (i < text.size() && i < kLongest) {
    const std::string_view rest = text.substr(i);
    const std::size_t length = is_late_control(rest) ? 0 : character_length(rest);
    const bool control = byte_at(text, i) < 0x20 || byte_at(text, i) == 0x7F;
    if (length == 0 || control) append_escaped(result, byte_at(text, i));
    if (length > 0 && !control) result += text.substr(i, length);
    i += std::max<std::size_t>(length, 1);
  }
  return result + (i < text.size() ? "...\"" : "\"");
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool has_control(std::string_view text) { return one_line(text, text.size()) != text; }

std::string utf8_text(std::string text) {
  if (is_utf8(text)) return text;
  std::ranges::replace_if(
      text, [](unsigned char c) { return c >= 0x80; }, '?');
  return text;
}

std::string one_line(std::string_view text, std::size_t longest) {
  std::size_t length = std::min(text.size(), longest);
  while (length < text.size() && length > 0 && (byte_at(text, length) & 0xC0) == 0x80) --length;
  std::string line(text.substr(0, length));
  std::ranges::replace_if(
      line, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  for (std::size_t i = line.find('\xC2'); i != std::string::npos; i = line.find('\xC2', i + 1)) {
    if (!is_late_control(std::string_view(line).substr(i))) continue;
    line.erase(i, 1);
    line[i] = ' ';
  }
  return line;
}

std::string number_text(double value) {
  std::array<char, 32> buffer;  // the longest shortest form of a float64 has 24 characters
  const auto [end, status] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return std::string(buffer.data(), end);
}

void check_number(bool good, const std::string& field, double value, const char* expected) {
  if (!good) throw std::invalid_argument(field + " is " + number_text(value) + ", expected " + expected);
}

}  // namespace equipoise
