#include "client/table/display_width.h"

#include <algorithm>
#include <clocale>
#include <cwchar>
#include <stdexcept>
#include <vector>

namespace equipoise {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";
constexpr std::string_view kEllipsis = "\u2026";

// The C library knows the width of every character, in a UTF-8 locale. This thread has one while this lives.
class Utf8Locale {
 public:
  Utf8Locale() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ == nullptr) throw std::runtime_error("the C library has no locale C.UTF-8");
    previous_ = uselocale(locale_);
  }
  ~Utf8Locale() {
    uselocale(previous_);
    freelocale(locale_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t locale_;
  locale_t previous_;
};

struct Glyph {
  std::string_view bytes;
  std::size_t width;
};

std::vector<Glyph> glyphs_of(std::string_view text) {
  const Utf8Locale locale;
  std::vector<Glyph> glyphs;
  std::mbstate_t state{};
  while (!text.empty()) {
    wchar_t character = 0;
    std::size_t length = std::mbrtowc(&character, text.data(), text.size(), &state);
    const bool broken = length == static_cast<std::size_t>(-1) || length == static_cast<std::size_t>(-2);
    if (broken || length == 0) {
      state = {};
      length = 1;
    }
    const int width = broken ? -1 : wcwidth(character);
    const bool visible = width >= 0 && character != 0;
    glyphs.push_back(visible ? Glyph{text.substr(0, length), static_cast<std::size_t>(width)} : Glyph{kReplacement, 1});
    text.remove_prefix(length);
  }
  return glyphs;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  for (const Glyph& glyph : glyphs_of(text)) result += glyph.bytes;
  return result;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (const Glyph& glyph : glyphs_of(text)) width += glyph.width;
  return width;
}

std::string wrapped(std::string_view text, std::size_t columns) {
  std::string lines, line;
  while (true) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string word(text.substr(0, end));
    const std::string longer = line.empty() ? word : line + " " + word;
    if (display_width(longer) <= columns || line.find_first_not_of(' ') == std::string::npos) {
      line = longer;
    } else {
      lines += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
      line = "  " + word;
    }
    if (end == text.size()) return lines + line;
    text.remove_prefix(end + 1);
  }
}

std::size_t text_width(std::string_view lines) {
  std::size_t width = 0;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    width = std::max(width, display_width(line));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
  }
  return width;
}

std::string shorten(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) return printable(text);
  if (columns == 0) return "";
  std::string result;
  std::size_t used = 0;
  for (const Glyph& glyph : glyphs_of(text)) {
    if (used + glyph.width > columns - 1) break;
    result += glyph.bytes;
    used += glyph.width;
  }
  return result.append(kEllipsis);
}

}  // namespace equipoise
