#include "common/dataset/json_fault.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "common/base/message_text.h"
#include "common/dataset/json_break.h"
#include "common/dataset/json_field.h"
#include "common/dataset/text_file.h"

namespace equipoise {
namespace {

using BreakKind = JsonBreak::Kind;

constexpr std::string_view kOneLine = "expected one object {\"prompt\": ...} a line (JSONL)";
constexpr std::string_view kDumps = ": write lines with json.dumps()";
constexpr std::string_view kMarkOfByteOrder = "\xEF\xBB\xBF";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kSpaces), text.size()));
  return text.substr(0, text.find_last_not_of(kSpaces) + 1);
}

std::string shown(std::string_view text) { return quoted_text(text.substr(0, 16)); }

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

// "field "weight" is", "a value is" before the first key.
std::string field_of(const JsonBreak& found, std::string_view otherwise) {
  return found.key.empty() ? std::string(otherwise) : "field " + quoted_text(found.key);
}

std::string list_fault(std::string_view what) {
  return std::string(what) + ", " + std::string(kOneLine) + ": jq -c '.[]' FILE > NEW turns a list into lines";
}

std::string single_quotes_fault() { return "texts are in single quotes, expected double ones" + std::string(kDumps); }

std::string word_fault(const JsonBreak& found) {
  const std::string_view word = found.found;
  const std::string what = field_of(found, "a value") + " is " + std::string(word.substr(0, 40));
  if (word == "NaN" || word == "nan" || word == "Infinity" || word == "inf" || word == "Inf") {
    return what + ", which JSON does not have, expected a number: leave the field or the row out";
  }
  if (word == "None" || word == "True" || word == "False") {
    return what + ", which is Python and not JSON, expected " +
           (word == "None"   ? "null"
            : word == "True" ? "true"
                             : "false") +
           std::string(kDumps);
  }
  return what + ", which JSON does not have, expected a text in double quotes, a number, true, false or null" +
         std::string(kDumps);
}

std::string large_number_fault(const JsonBreak& found) {
  constexpr std::size_t kMostShown = 40;
  const std::string_view number = found.found;
  const bool is_integer = number.find_first_of(".eE") == std::string_view::npos;
  return field_of(found, "a number") + " is " + std::string(number.substr(0, kMostShown)) +
         (number.size() > kMostShown ? "..." : "") + ", which " + (is_integer ? "a 64-bit integer" : "a float64") +
         " cannot hold, expected a smaller number: write it as text";
}

std::string control_fault(const JsonBreak& found) {
  std::array<char, 8> hex{};
  std::snprintf(hex.data(), hex.size(), "\\u%04x", static_cast<unsigned>(found.found.front()));
  const char c = found.found.front();
  const std::string escape = c == '\t' ? "\\t" : c == '\r' ? "\\r" : hex.data();
  return field_of(found, "a text") + " holds the control character " + hex.data() + " itself, expected " + escape +
         std::string(kDumps);
}

// Something behind the line's object.
std::string behind_fault(const JsonBreak& found) {
  const std::string_view rest = found.found;
  if (rest.starts_with(']')) return list_fault("a list ends here");
  const std::string_view after_comma = rest.starts_with(',') ? trimmed(rest.substr(1)) : "";
  if (rest == "," || after_comma.starts_with(']')) {
    return rest == "," ? "a comma stands behind the object, " + std::string(kOneLine) +
                             ": sed 's/,[[:space:]]*$//' FILE > NEW removes such commas"
                       : list_fault("a list ends here");
  }
  if (after_comma.starts_with('{')) {
    return "a comma and a second object stand behind the first, " + std::string(kOneLine) +
           ": (echo [; cat FILE; echo ]) | jq -c '.[]' > NEW makes lines of them";
  }
  if (rest.starts_with('{')) {
    return "a second object begins behind the first, " + std::string(kOneLine) +
           ": jq -c . FILE > NEW makes lines of them";
  }
  return shown(rest) + " stands behind the object, " + std::string(kOneLine) + ": leave it out";
}

// The line ends too soon.
std::string end_fault(std::string_view text, const JsonBreak& found) {
  const bool goes_on = text == "{" || text.back() == ',' || text.back() == '{' || text.back() == '[';
  if (found.kind == BreakKind::kEnd && goes_on) {
    return "an object goes on over several lines, " + std::string(kOneLine) +
           ": jq -c . FILE > NEW makes lines of such";
  }
  return "it ends in the middle" + std::string(found.kind == BreakKind::kOpenText ? " of a text, " : ", ") +
         std::string(kOneLine) +
         (found.kind == BreakKind::kOpenText ? ": a line's end in a text is written \\n" : ": it was cut short");
}

// Something else than what JSON has in its place.
std::string place_fault(const JsonBreak& found) {
  const std::string_view rest = found.found;
  if (rest.starts_with('/') || rest.starts_with('#')) {
    return "a comment stands in it, which JSON does not have: leave it out";
  }
  const bool closes = rest.starts_with('}') || rest.starts_with(']');
  if (closes && found.before.ends_with(',')) {
    return "a comma stands before the end of a list or an object: leave it out";
  }
  if (found.kind != BreakKind::kComma && rest.starts_with('\'')) return single_quotes_fault();
  switch (found.kind) {
    case BreakKind::kKey:
      return shown(rest) + " stands where a key in double quotes is expected" + std::string(kDumps);
    case BreakKind::kColon:
      return shown(rest) + " stands behind the key " + quoted_text(found.key) + ", expected a colon" +
             std::string(kDumps);
    case BreakKind::kValue:
      return field_of(found, "a list") + " has no value before " + shown(rest) + std::string(kDumps);
    default:
      return shown(rest) + " stands behind the value of " + field_of(found, "a list") +
             ", expected a comma or the end: a quote inside of a text is written \\\"";
  }
}

std::string fault_of_break(std::string_view text, const JsonBreak& found) {
  const bool is_list = text.front() == '[';
  switch (found.kind) {
    case BreakKind::kEnd:
    case BreakKind::kOpenText:
    case BreakKind::kBehind:
      if (is_list) return list_fault("a list begins here");
      if (text.find('\r') != std::string_view::npos) return std::string(kCarriageReturnsAlone);
      return found.kind == BreakKind::kBehind ? behind_fault(found) : end_fault(text, found);
    case BreakKind::kWord:
      return word_fault(found);
    case BreakKind::kNumber:
      return field_of(found, "a value") + " is " + shown(found.found) + ", which is no number of JSON" +
             std::string(kDumps);
    case BreakKind::kControl:
      return control_fault(found);
    case BreakKind::kEscape:
      return field_of(found, "a text") + " holds " + std::string(found.found) +
             ", which is no escape of JSON: a backslash in a text is written \\\\";
    default:
      return place_fault(found);
  }
}

// Of a line that begins neither as an object nor as a list does.
std::string start_fault(std::string_view text) {
  if (is_table_header(text)) {
    return "it looks like the header of CSV, " + std::string(kOneLine) +
           ", Parquet or Arrow: pandas.read_csv(...).to_json(..., orient=\"records\", lines=True) writes such lines";
  }
  if (text.starts_with(']')) return list_fault("a list ends here");
  if (text.starts_with(',') && trimmed(text.substr(1)).starts_with('{')) {
    return "a comma stands before the object, " + std::string(kOneLine) +
           ": sed 's/^[[:space:]]*,//' FILE > NEW removes such commas";
  }
  if (text.starts_with(kMarkOfByteOrder)) {
    return "it begins with a byte order mark, which may stand at the file's start alone: sed 's/^\\xEF\\xBB\\xBF//' "
           "FILE > NEW removes it";
  }
  return "it begins with " + shown(text) + ", " + std::string(kOneLine);
}

}  // namespace

std::string json_fault(std::string_view line, simdjson::error_code problem) {
  const std::string_view text = trimmed(line);
  if (problem == simdjson::UTF8_ERROR) {
    return "the line is not UTF-8, expected that encoding: iconv -f latin1 -t utf-8 turns Latin-1 into it";
  }
  if (text.find('\0') != std::string_view::npos) return "the line holds zero bytes, expected text in UTF-8";
  const std::string start = "the line is not JSON: ";
  if (!text.starts_with('{') && !text.starts_with('[')) return start + start_fault(text);
  const JsonBreak found = first_json_break(text);
  if (found.kind == BreakKind::kHalfSurrogate) return half_surrogate_fault(found.key, found.half_surrogate);
  if (found.kind == BreakKind::kLargeNumber) return large_number_fault(found);
  if (found.kind != BreakKind::kNone) return start + fault_of_break(text, found);
  if (problem == simdjson::DEPTH_ERROR) return start + "lists and objects are nested more than 1,000 deep";
  return start + simdjson::error_message(problem);
}

}  // namespace equipoise
