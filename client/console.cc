#include "client/console.h"

#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

namespace equipoise {
namespace {

constexpr std::size_t kUsualColumns = 80;

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

// An unset locale says nothing about the terminal; nearly all of them read UTF-8.
Glyphs locale_glyphs() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string_view value = environment(name);
    if (value.empty()) continue;
    const std::size_t dot = value.find('.');
    if (dot == std::string_view::npos) return Glyphs::kUnicode;
    const std::string_view encoding = value.substr(dot + 1, value.find('@') - dot - 1);
    const bool utf8 = encoding.size() >= 4 && strncasecmp(encoding.data(), "utf", 3) == 0 && encoding.back() == '8';
    return utf8 ? Glyphs::kUnicode : Glyphs::kAscii;
  }
  return Glyphs::kUnicode;
}

}  // namespace

std::size_t Console::columns() const {
  winsize size{};
  if (kind != OutputKind::kTerminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return kUsualColumns;
  }
  return size.ws_col;
}

Console standard_console() {
  const bool terminal = isatty(STDOUT_FILENO) == 1 && environment("TERM") != "dumb";
  const bool colors = terminal && environment("NO_COLOR").empty();
  return Console{.out = std::cout,
                 .err = std::cerr,
                 .kind = terminal ? OutputKind::kTerminal : OutputKind::kPlain,
                 .colors = colors ? Colors::kOn : Colors::kOff,
                 .glyphs = locale_glyphs()};
}

}  // namespace equipoise
