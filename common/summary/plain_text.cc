#include "common/summary/plain_text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view kCut = "\xE2\x80\xA6";          // …
constexpr std::string_view kMarkdownMarks = "\\`*_{}[]()<>|~#&$!@:";

struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 1;
};

// The first character of well-formed UTF-8; a byte that belongs to none has code 0xFFFD.
Character first_character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {.code = lead, .bytes = 1};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (bytes > text.size() || !is_utf8(text.substr(0, bytes))) return {.code = 0xFFFD, .bytes = 1};
  std::uint32_t code = lead & (0xFFu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3Fu);
  return {.code = code, .bytes = bytes};
}

bool is_control(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x2028 || code == 0x2029;
}

// Marks and overrides of direction, zero widths, and what is no character; joiners belong to words and emoji.
bool is_hidden(std::uint32_t code) {
  return code == 0x200B || code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2060 && code <= 0x206F) || code == 0xFEFF || (code & 0xFFFE) == 0xFFFE || code == 0xAD ||
         code == 0x61C || (code >= 0xE0000 && code <= 0xE0FFF);
}

std::string replaced_characters(std::string_view text, auto replacement) {
  std::string result;
  for (const char c : text) {
    const std::string_view other = replacement(c);
    if (other.empty()) {
      result += c;
    } else {
      result += other;
    }
  }
  return result;
}

}  // namespace

std::string plain_line(std::string_view text, std::size_t longest) {
  std::string line;
  while (!text.empty()) {
    const Character character = first_character(text);
    const std::string_view bytes = text.substr(0, character.bytes);
    const std::string_view shown = is_control(character.code)                              ? " "
                                   : is_hidden(character.code) || character.code == 0xFFFD ? kReplacement
                                                                                           : bytes;
    if (line.size() + shown.size() > longest) return line + std::string(kCut);
    line += shown;
    text.remove_prefix(character.bytes);
  }
  return line;
}

std::string markdown_line(std::string_view text) {
  std::string result;
  for (const char c : plain_line(text)) {
    if (kMarkdownMarks.find(c) != std::string_view::npos) result += '\\';
    // "www." begins a link.
    if (c == '.' && result.size() >= 3 && (result.ends_with("www") || result.ends_with("WWW"))) result += '\\';
    result += c;
  }
  // At the beginning of a line, or of a cell, these begin lists and headings.
  if (!result.empty() && (result[0] == '-' || result[0] == '+' || result[0] == '=')) result.insert(0, "\\");
  return result;
}

std::string markdown_block(std::string_view text, std::string_view language) {
  std::size_t longest = 0, run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(std::max<std::size_t>(3, longest + 1), '`');
  std::string block = fence + std::string(language) + "\n" + std::string(text);
  if (!block.ends_with('\n')) block += '\n';
  return block + fence + "\n";
}

std::string yaml_scalar(std::string_view text) {
  return "\"" +
         replaced_characters(plain_line(text),
                             [](char c) -> std::string_view { return c == '"'    ? "\\\""
                                                                     : c == '\\' ? "\\\\"
                                                                                 : ""; }) +
         "\"";
}

std::string json_in_html(std::string json) {
  return replaced_characters(json, [](char c) -> std::string_view { return c == '<' ? "\\u003c" : ""; });
}

std::string html_line(std::string_view text) {
  return replaced_characters(plain_line(text), [](char c) -> std::string_view {
    return c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : c == '{' ? "&#123;" : "";
  });
}

}  // namespace equipoise
