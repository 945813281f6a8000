#include "common/process/program_log.h"

#include <algorithm>
#include <cctype>
#include <fstream>

namespace equipoise {
namespace {

constexpr std::size_t kLongestLine = 512;
constexpr std::streamoff kTailBytes = 64 * 1024;

bool is_frame(std::string_view line) {
  constexpr std::size_t kShortestFrame = 20;
  return line.size() >= kShortestFrame && line.find_first_not_of('-') == std::string_view::npos;
}

bool has_letters(std::string_view line) {
  return std::ranges::any_of(line, [](unsigned char c) { return std::isalpha(c) != 0; });
}

// "2026-01-31T12:00:00.000Z info PROGRAM[PID]: ...": what went well is no reason for an end.
bool is_news(std::string_view line) {
  constexpr std::size_t kZone = 23;
  return line.size() > kZone + 1 && line[10] == 'T' && line[kZone] == 'Z' &&
         line.substr(kZone + 1).starts_with(" info ");
}

// Other bytes would make the message that carries it invalid.
std::string printable(std::string_view line) {
  std::string text(line.substr(0, kLongestLine));
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return text;
}

}  // namespace

std::string last_telling_line(std::string_view text) {
  std::string_view outside, inside;
  bool is_in_notice = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (is_frame(line)) {
      is_in_notice = !is_in_notice;
    } else if (has_letters(line) && !is_news(line)) {
      (is_in_notice ? inside : outside) = line;
    }
  }
  return printable(outside.empty() ? inside : outside);
}

std::string last_telling_line_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  stream.seekg(0, std::ios::end);
  const std::streamoff size = stream.tellg();
  if (!stream || size <= 0) return "";
  std::string tail(static_cast<std::size_t>(std::min(size, kTailBytes)), '\0');
  stream.seekg(size - static_cast<std::streamoff>(tail.size()));
  stream.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  return last_telling_line(std::string_view(tail).substr(0, static_cast<std::size_t>(stream.gcount())));
}

std::string first_complaint_of(const std::filesystem::path& file, std::string_view program) {
  std::ifstream stream(file, std::ios::binary);
  const std::string start = std::string(program).append(": ");
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with(start)) return line.substr(start.size());
  }
  return "";
}

}  // namespace equipoise
