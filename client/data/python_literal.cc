#include "client/data/python_literal.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <set>
#include <stdexcept>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

bool is_blank(char character) {
  return character == ' ' || character == '\t' || character == '\n' || character == '\r';
}

bool is_number_part(char character) {
  return (character >= '0' && character <= '9') || character == '.' || character == 'e' || character == 'E' ||
         character == '+' || character == '-';
}

void append_utf8(std::string& text, std::uint32_t code) {
  const auto byte = [&text](std::uint32_t value) { text += static_cast<char>(value); };
  if (code < 0x80) return byte(code);
  if (code < 0x800) {
    byte(0xC0 | (code >> 6));
  } else if (code < 0x10000) {
    byte(0xE0 | (code >> 12));
    byte(0x80 | ((code >> 6) & 0x3F));
  } else {
    byte(0xF0 | (code >> 18));
    byte(0x80 | ((code >> 12) & 0x3F));
    byte(0x80 | ((code >> 6) & 0x3F));
  }
  byte(0x80 | (code & 0x3F));
}

class LiteralReader {
 public:
  explicit LiteralReader(std::string_view text) : text_(text) {}

  [[noreturn]] void refuse(const std::string& wanted) const {
    const std::string found = at_ < text_.size() ? quoted_text(text_.substr(at_, 12)) : "its end";
    throw std::invalid_argument("has " + found + " at character " + std::to_string(at_ + 1) + ", expected " + wanted);
  }

  bool take(std::string_view wanted) {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
    if (text_.substr(at_, wanted.size()) != wanted) return false;
    at_ += wanted.size();
    return true;
  }
  void require(std::string_view wanted) {
    if (!take(wanted)) refuse(std::string("\"").append(wanted).append("\""));
  }
  void require_end() {
    take("");
    if (at_ < text_.size()) refuse("nothing more");
  }

  // Calls item() for each item up to `close`; Python allows a comma after the last.
  template <typename Item>
  void items(std::string_view close, Item item) {
    while (!take(close)) {
      item();
      if (take(close)) return;
      require(",");
    }
  }

  std::string text() {
    take("");
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) refuse("a text in quotes");
    const char quote = text_[at_++];
    std::string value;
    while (true) {
      if (at_ >= text_.size() || text_[at_] == '\n') refuse("the quote that ends the text");
      if (text_[at_] == quote) break;
      if (text_[at_] == '\\') {
        append_escape(value);
      } else {
        value += text_[at_++];
      }
    }
    ++at_;
    return value;
  }

  bool at_number() {
    take("");
    return at_ < text_.size() && is_number_part(text_[at_]) && text_[at_] != 'e' && text_[at_] != 'E';
  }

  // As it is written.
  std::string_view number_text() {
    const std::size_t begin = at_;
    std::size_t end = at_;
    while (end < text_.size() && is_number_part(text_[end])) ++end;
    const std::string_view word = text_.substr(begin, end - begin);
    double value = 0;
    const auto read = std::from_chars(word.data(), word.data() + word.size(), value);
    if (read.ec != std::errc() || read.ptr != word.data() + word.size() || !std::isfinite(value)) refuse("a number");
    at_ = end;
    return word;
  }

  double number() {
    if (!at_number()) refuse("a number");
    const std::string_view word = number_text();
    double value = 0;
    std::from_chars(word.data(), word.data() + word.size(), value);
    return value;
  }

 private:
  void append_escape(std::string& value) {
    static constexpr std::string_view kLetters = "\\'\"nrt";
    static constexpr std::string_view kMeanings = "\\'\"\n\r\t";
    const char letter = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (const std::size_t simple = kLetters.find(letter); letter != '\0' && simple != std::string_view::npos) {
      value += kMeanings[simple];
      at_ += 2;
      return;
    }
    const std::size_t digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    const std::string_view hexadecimal = text_.substr(std::min(at_ + 2, text_.size()), digits);
    std::uint32_t code = 0;
    const auto read = std::from_chars(hexadecimal.data(), hexadecimal.data() + hexadecimal.size(), code, 16);
    const bool whole =
        digits > 0 && hexadecimal.size() == digits && read.ec == std::errc() && read.ptr == hexadecimal.data() + digits;
    // Half a surrogate pair is no character.
    if (!whole || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) refuse("an escape that repr() writes");
    append_utf8(value, code);
    at_ += 2 + digits;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::optional<std::vector<double>> shares_or_none(LiteralReader& reader) {
  if (reader.take("None")) return std::nullopt;
  reader.require("[");
  std::vector<double> shares;
  reader.items("]", [&] { shares.push_back(reader.number()); });
  return shares;
}

}  // namespace

std::vector<std::string> read_python_texts(std::string_view text) {
  LiteralReader reader(text);
  std::vector<std::string> texts;
  reader.require("[");
  reader.items("]", [&] { texts.push_back(reader.at_number() ? std::string(reader.number_text()) : reader.text()); });
  reader.require_end();
  return texts;
}

PythonShares read_python_shares(std::string_view text) {
  LiteralReader reader(text);
  PythonShares shares;
  std::set<std::string> seen;
  const bool is_default = reader.take("defaultdict(<class 'list'>,");
  reader.require("{");
  reader.items("}", [&] {
    std::string key = reader.text();
    if (!seen.insert(key).second) throw std::invalid_argument("has the key " + quoted_text(key) + " twice");
    reader.require(":");
    shares.emplace_back(std::move(key), shares_or_none(reader));
  });
  if (is_default) reader.require(")");
  reader.require_end();
  return shares;
}

}  // namespace equipoise
