#include "common/dataset/json_break.h"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <system_error>

namespace equipoise {
namespace {

bool is_json_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_json_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_json_digit(char c) { return c >= '0' && c <= '9'; }

// The four digits after "\\u" at `place`, or nothing.
std::optional<unsigned> escaped_code(std::string_view text, std::size_t place) {
  if (place + 6 > text.size() || text[place] != '\\' || text[place + 1] != 'u') return std::nullopt;
  unsigned code = 0;
  const char* const begin = text.data() + place + 2;
  const auto [end, problem] = std::from_chars(begin, begin + 4, code, 16);
  return problem == std::errc() && end == begin + 4 ? std::optional(code) : std::nullopt;
}

std::size_t digits_at(std::string_view text, std::size_t place) {
  std::size_t end = place;
  while (end < text.size() && is_json_digit(text[end])) ++end;
  return end - place;
}

// -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
bool is_json_number(std::string_view text) {
  std::size_t place = text.starts_with('-') ? 1 : 0;
  const std::size_t whole = digits_at(text, place);
  if (whole == 0 || (whole > 1 && text[place] == '0')) return false;
  place += whole;
  if (place < text.size() && text[place] == '.') {
    const std::size_t fraction = digits_at(text, ++place);
    if (fraction == 0) return false;
    place += fraction;
  }
  if (place < text.size() && (text[place] == 'e' || text[place] == 'E')) {
    ++place;
    if (place < text.size() && (text[place] == '+' || text[place] == '-')) ++place;
    const std::size_t exponent = digits_at(text, place);
    if (exponent == 0) return false;
    place += exponent;
  }
  return place == text.size();
}

template <class Integer>
bool exceeds(std::string_view number) {
  Integer value = 0;
  return std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc::result_out_of_range;
}

bool is_too_large(std::string_view number) {
  const bool is_integer = number.find_first_of(".eE") == std::string_view::npos;
  if (!is_integer) return std::isinf(std::strtod(std::string(number).c_str(), nullptr));
  return number.front() == '-' ? exceeds<std::int64_t>(number) : exceeds<std::uint64_t>(number);
}

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view line) : line_(line) {}

  JsonBreak run() {
    while (found_.kind == JsonBreak::Kind::kNone) {
      behind_last_ = place_;
      while (place_ < line_.size() && is_json_space(line_[place_])) ++place_;
      if (place_ == line_.size()) {
        if (wanted_ != Wanted::kNothing) stop(JsonBreak::Kind::kEnd);
        break;
      }
      step(line_[place_]);
    }
    return found_;
  }

 private:
  using Kind = JsonBreak::Kind;
  enum class Wanted { kValue, kValueOrEnd, kKey, kKeyOrEnd, kColon, kCommaOrEnd, kNothing };

  void stop(Kind kind, std::string_view found) {
    found_.kind = kind;
    found_.found = found;
    found_.before = line_.substr(0, behind_last_);
    found_.key = key_;
  }
  void stop(Kind kind) { stop(kind, line_.substr(place_)); }

  void step(char c) {
    const bool in_object = !open_.empty() && open_.back() == '{';
    switch (wanted_) {
      case Wanted::kValue:
        return value(c);
      case Wanted::kValueOrEnd:
        return c == ']' ? close() : value(c);
      case Wanted::kKeyOrEnd:
        if (c == '}') return close();
        [[fallthrough]];
      case Wanted::kKey:
        if (c != '"') return stop(Kind::kKey);
        if (const auto text = take_text()) key_ = *text;
        return want(Wanted::kColon);
      case Wanted::kColon:
        return c == ':' ? take_sign(Wanted::kValue) : stop(Kind::kColon);
      case Wanted::kCommaOrEnd:
        if (c == ',') return take_sign(in_object ? Wanted::kKey : Wanted::kValue);
        return c == (in_object ? '}' : ']') ? close() : stop(Kind::kComma);
      case Wanted::kNothing:
        return stop(Kind::kBehind);
    }
  }

  void value(char c) {
    if (c == '{' || c == '[') {
      open_.push_back(c);
      return take_sign(c == '{' ? Wanted::kKeyOrEnd : Wanted::kValueOrEnd);
    }
    if (c == '"') {
      take_text();
    } else if (is_json_digit(c) || c == '-' || c == '+' || c == '.') {
      take_number();
    } else if (is_json_letter(c)) {
      take_word();
    } else {
      return stop(Kind::kValue);
    }
    want(open_.empty() ? Wanted::kNothing : Wanted::kCommaOrEnd);
  }

  void want(Wanted next) { wanted_ = next; }
  void take_sign(Wanted next) {
    ++place_;
    want(next);
  }
  void close() {
    open_.pop_back();
    take_sign(open_.empty() ? Wanted::kNothing : Wanted::kCommaOrEnd);
  }

  // Nothing where it has a fault.
  std::optional<std::string_view> take_text() {
    const std::size_t begin = place_ + 1;
    for (std::size_t i = begin; i < line_.size();) {
      const char c = line_[i];
      if (c == '"') {
        place_ = i + 1;
        return line_.substr(begin, i - begin);
      }
      if (static_cast<unsigned char>(c) < 0x20) {
        stop(Kind::kControl, line_.substr(i));
        return std::nullopt;
      }
      i += c == '\\' ? escape_at(i) : 1;
      if (found_.kind != Kind::kNone) return std::nullopt;
    }
    stop(Kind::kOpenText);
    return std::nullopt;
  }

  // How long it is.
  std::size_t escape_at(std::size_t place) {
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    if (place + 1 == line_.size()) return 1;  // the text is open then
    if (kLetters.find(line_[place + 1]) != std::string_view::npos) return 2;
    const auto code = escaped_code(line_, place);
    if (!code) {
      stop(Kind::kEscape, line_.substr(place, 2));
      return 2;
    }
    const unsigned next = escaped_code(line_, place + 6).value_or(0);
    const bool is_high = *code >= 0xD800 && *code < 0xDC00, is_low = *code >= 0xDC00 && *code < 0xE000;
    const bool is_pair = is_high && next >= 0xDC00 && next < 0xE000;
    if (is_low || (is_high && !is_pair)) {
      stop(Kind::kHalfSurrogate);
      found_.half_surrogate = *code;
    }
    return is_pair ? 12 : 6;
  }

  void take_number() {
    std::size_t end = place_ + 1;
    if (end < line_.size() && line_[place_] == '-' && is_json_letter(line_[end])) {
      const std::size_t sign = place_++;
      take_word();
      if (found_.kind == Kind::kNone) stop(Kind::kNumber, line_.substr(sign, place_ - sign));
      return;
    }
    const auto belongs = [](char c) {
      return is_json_digit(c) || is_json_letter(c) || c == '+' || c == '-' || c == '.';
    };
    while (end < line_.size() && belongs(line_[end])) ++end;
    const std::string_view number = line_.substr(place_, end - place_);
    place_ = end;
    if (!is_json_number(number)) return stop(Kind::kNumber, number);
    if (is_too_large(number)) stop(Kind::kLargeNumber, number);
  }

  void take_word() {
    std::size_t end = place_;
    while (end < line_.size() && (is_json_letter(line_[end]) || is_json_digit(line_[end]))) ++end;
    const std::string_view word = line_.substr(place_, end - place_);
    place_ = end;
    if (word != "true" && word != "false" && word != "null") stop(Kind::kWord, word);
  }

  std::string_view line_, key_;
  std::size_t place_ = 0, behind_last_ = 0;
  Wanted wanted_ = Wanted::kValue;
  std::string open_;  // the signs of lists and objects around `place_`
  JsonBreak found_;
};

}  // namespace

JsonBreak first_json_break(std::string_view line) { return JsonScanner(line).run(); }

}  // namespace equipoise
