#include "common/dataset/json_fault.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <system_error>

#include "common/base/quoted_text.h"
#include "common/dataset/json_field.h"

namespace equipoise {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The four digits after "\\u" at `place`, or nothing.
std::optional<unsigned> escaped_code(std::string_view text, std::size_t place) {
  if (place + 6 > text.size() || text[place] != '\\' || text[place + 1] != 'u') return std::nullopt;
  unsigned code = 0;
  const char* const begin = text.data() + place + 2;
  const auto [end, problem] = std::from_chars(begin, begin + 4, code, 16);
  return problem == std::errc() && end == begin + 4 ? std::optional(code) : std::nullopt;
}

// The first escape in a text, as it stands in the line, that is half of a surrogate pair; 0: there is none.
unsigned half_surrogate_in(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') continue;
    const unsigned code = escaped_code(text, i).value_or(0);
    const unsigned next = escaped_code(text, i + 6).value_or(0);
    const bool is_high = code >= 0xD800 && code < 0xDC00, is_low = code >= 0xDC00 && code < 0xE000;
    const bool is_pair = is_high && next >= 0xDC00 && next < 0xE000;
    if ((is_high && !is_pair) || is_low) return code;
    i += is_pair ? 11 : 1;
  }
  return 0;
}

struct Outside {
  std::string_view key;           // the last text before the word
  std::string_view word;          // that is none of JSON's
  std::string_view large_number;  // that is JSON's, where the walk ends then
  int depth = 0;                  // of lists and objects that are open at the end
  bool text_is_open = false;
  unsigned half_surrogate = 0;    // in a text, where the walk ends then
  bool comma_before_end = false;  // ",}" or ",]"
};

std::string_view number_at(std::string_view line, std::size_t begin) {
  return line.substr(begin, line.find_first_not_of("+-.0123456789eE", begin) - begin);
}

bool is_integer(std::string_view number) { return number.find_first_of(".eE") == std::string_view::npos; }

template <class Integer>
bool exceeds(std::string_view number) {
  Integer value = 0;
  return std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc::result_out_of_range;
}

bool is_too_large(std::string_view number) {
  if (!is_integer(number)) return std::isinf(std::strtod(std::string(number).c_str(), nullptr));
  return number.front() == '-' ? exceeds<std::int64_t>(number) : exceeds<std::uint64_t>(number);
}

// Goes over the line up to the first word outside of texts that JSON does not have.
Outside outside_of(std::string_view line) {
  Outside found;
  char last = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"') {
      std::size_t end = i + 1;
      while (end < line.size() && line[end] != '"') end += line[end] == '\\' ? 2 : 1;
      if (end >= line.size()) {
        found.text_is_open = true;
        return found;
      }
      const std::string_view text = line.substr(i + 1, end - i - 1);
      found.half_surrogate = half_surrogate_in(text);
      if (found.half_surrogate != 0) return found;
      found.key = text;
      i = end;
    } else if (is_letter(c)) {
      std::size_t end = i;
      while (end < line.size() && is_letter(line[end])) ++end;
      const std::string_view word = line.substr(i, end - i);
      const bool is_json = word == "true" || word == "false" || word == "null" || word == "e" || word == "E";
      if (!is_json) {
        found.word = word;
        return found;
      }
      i = end - 1;
    } else if (c == '-' || (c >= '0' && c <= '9')) {
      const std::string_view number = number_at(line, i);
      if (is_too_large(number)) {
        found.large_number = number;
        return found;
      }
      i += number.size() - 1;
    } else if (c == '{' || c == '[') {
      ++found.depth;
    } else if (c == '}' || c == ']') {
      --found.depth;
      found.comma_before_end = found.comma_before_end || last == ',';
    }
    if (!is_space(c)) last = c;
  }
  return found;
}

// The header of comma- or tab-separated values: names, among them one of ours.
bool is_table_header(std::string_view line) {
  for (const char separator : {',', '\t', ';'}) {
    std::size_t begin = 0;
    bool ours = false, several = false;
    while (begin <= line.size()) {
      const std::size_t end = std::min(line.find(separator, begin), line.size());
      std::string_view name = trimmed(line.substr(begin, end - begin));
      if (name.size() > 1 && name.front() == '"' && name.back() == '"') name = name.substr(1, name.size() - 2);
      ours = ours || name == "prompt" || name == "chosen" || name == "rejected" || name == "question";
      several = several || end < line.size();
      begin = end + 1;
    }
    if (ours && several) return true;
  }
  return false;
}

constexpr std::string_view kOneLine = "expected one object {\"prompt\": ...} a line (JSONL)";

std::string word_fault(const Outside& outside) {
  const std::string_view word = outside.word;
  const std::string where = outside.key.empty() ? "" : "field " + quoted_text(outside.key) + " is ";
  if (word == "NaN" || word == "nan" || word == "Infinity" || word == "inf" || word == "Inf") {
    return where + std::string(word) + ", which JSON does not have, expected a number: leave the field or the row out";
  }
  if (word == "None" || word == "True" || word == "False") {
    return where + std::string(word) + ", which is Python and not JSON, expected " +
           (word == "None"   ? "null"
            : word == "True" ? "true"
                             : "false") +
           ": write lines with json.dumps()";
  }
  return "";
}

std::string large_number_fault(const Outside& outside) {
  constexpr std::size_t kMostShown = 40;
  const std::string_view number = outside.large_number;
  return (outside.key.empty() ? "a number" : "field " + quoted_text(outside.key)) + " is " +
         std::string(number.substr(0, kMostShown)) + (number.size() > kMostShown ? "..." : "") + ", which " +
         (is_integer(number) ? "a 64-bit integer" : "a float64") +
         " cannot hold, expected a smaller number: write it as text";
}

}  // namespace

std::string json_fault(std::string_view line, simdjson::error_code problem) {
  const std::string_view text = trimmed(line);
  if (problem == simdjson::UTF8_ERROR) {
    return "the line is not UTF-8, expected that encoding: iconv -f latin1 -t utf-8 turns Latin-1 into it";
  }
  if (text.find('\0') != std::string_view::npos) return "the line holds zero bytes, expected text in UTF-8";
  const std::string start = std::string("the line is not JSON: ");
  const char first = text.empty() ? '\0' : text.front();
  if (first != '{' && first != '[') {
    if (is_table_header(text)) {
      return start + "it looks like the header of CSV, " + std::string(kOneLine) +
             ", Parquet or Arrow: pandas.read_csv(...).to_json(..., orient=\"records\", lines=True) writes such lines";
    }
    return start + "it begins with " + quoted_text(text.substr(0, 16)) + ", " + std::string(kOneLine);
  }
  const Outside outside = outside_of(text);
  if (outside.half_surrogate != 0) return half_surrogate_fault(outside.key, outside.half_surrogate);
  if (!outside.large_number.empty()) return large_number_fault(outside);
  if (const std::string fault = word_fault(outside); !fault.empty()) return start + fault;
  if (first == '[' && (outside.depth > 0 || outside.text_is_open)) {
    return start + "a list begins here, " + std::string(kOneLine) + ": jq -c '.[]' turns a list into lines";
  }
  if (text == "{" || (outside.depth > 0 && (text.back() == ',' || text.back() == '{' || text.back() == '['))) {
    return start + "an object goes on over several lines, " + std::string(kOneLine) + ": jq -c . makes lines of such";
  }
  if (text.size() > 1 && text[1] == '\'') {
    return start + "texts are in single quotes, expected double ones: write lines with json.dumps()";
  }
  if (outside.text_is_open || outside.depth > 0) return start + "it ends in the middle, " + std::string(kOneLine);
  if (outside.comma_before_end) return start + "a comma stands before the end of a list or an object";
  return start + simdjson::error_message(problem);
}

}  // namespace equipoise
