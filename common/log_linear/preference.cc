#include "common/log_linear/preference.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/base/durable_file.h"
#include "common/base/message_text.h"
#include "common/dataset/data_fields.h"
#include "common/dataset/json_fault.h"
#include "common/dataset/text_file.h"

namespace equipoise::log_linear {
namespace {

constexpr std::size_t kLongestLine = std::size_t{1} << 20;

std::string shown(const simdjson::dom::element& element) {
  if (element.is_string()) return quoted_text(std::string_view(element));
  if (element.is_object()) return "an object";
  const std::string text = simdjson::minify(element);
  return text.size() <= 80 ? text : text.substr(0, 80) + "...";
}

// Parses the lines of one file; knows where it is, for the messages.
class PreferenceLines {
 public:
  PreferenceLines(const std::filesystem::path& path, const Problem& problem)
      : problem_(problem), lines_(path, {.longest_line = kLongestLine, .padding = simdjson::SIMDJSON_PADDING}) {}

  bool next(Preference& preference);  // false after the last
  [[noreturn]] void refuse(const std::string& what) const { lines_.refuse(what); }
  const DataFields& fields() const { return checks_.fields(); }  // of all lines until now

 private:
  [[noreturn]] void refuse_field(std::string_view field, const std::string& found, const std::string& expected) const {
    refuse("field \"" + std::string(field) + "\" is " + found + ", expected " + expected);
  }
  void check_fields(const simdjson::dom::object& object);
  std::optional<simdjson::dom::element> find(const simdjson::dom::object& object, std::string_view name) const;
  simdjson::dom::element field(const simdjson::dom::object& object, std::string_view name) const;
  double share(const simdjson::dom::object& object) const;
  std::uint32_t id(const simdjson::dom::object& object, std::string_view name, std::uint64_t bound) const;
  std::vector<double> state(const simdjson::dom::object& object) const;

  const Problem& problem_;
  LineReader lines_;
  FieldChecks checks_;
  simdjson::dom::parser parser_;
};

bool PreferenceLines::next(Preference& preference) {
  if (!lines_.next()) return false;
  const std::string_view line = lines_.line();
  simdjson::dom::element root;
  if (const auto error = parser_.parse(line.data(), line.size(), false).get(root)) refuse(json_fault(line, error));
  simdjson::dom::object object;
  if (root.get(object)) refuse("the line is not a JSON object, expected one");
  check_fields(object);
  preference.state = state(object);
  preference.group = id(object, "group", problem_.groups());
  preference.chosen = id(object, "chosen", problem_.actions);
  preference.rejected = id(object, "rejected", problem_.actions);
  if (preference.chosen == preference.rejected) {
    refuse_field("rejected", std::to_string(preference.rejected), "another action than \"chosen\"");
  }
  preference.chosen_share = share(object);
  return true;
}

// A share on some lines would leave the others with a default, and a weight would be left out of all sums.
void PreferenceLines::check_fields(const simdjson::dom::object& object) {
  bool has_share = false;
  for (const auto& [key, value] : object) {
    has_share = has_share || key == "chosen_share";
    if (key == "weight") refuse("field \"weight\" is there, expected none: log-linear policies take all pairs alike");
    if (key != "state" && key != "group" && key != "chosen" && key != "rejected" && key != "chosen_share") {
      checks_.note_unused(key);
    }
  }
  const FieldPresence presence{.name = "chosen_share", .given = has_share, .on_all_rows = true};
  try {
    checks_.check(std::span(&presence, 1), {.word = "line", .place = [] { return "line 1"; }});
  } catch (const std::invalid_argument& problem) {
    refuse(problem.what());
  }
}

std::optional<simdjson::dom::element> PreferenceLines::find(const simdjson::dom::object& object,
                                                            std::string_view name) const {
  std::optional<simdjson::dom::element> found;
  for (const auto& [key, value] : object) {
    if (key != name) continue;
    if (found) refuse("field \"" + std::string(name) + "\" is there twice, expected once");
    found = value;
  }
  return found;
}

simdjson::dom::element PreferenceLines::field(const simdjson::dom::object& object, std::string_view name) const {
  const auto found = find(object, name);
  if (!found) refuse("field \"" + std::string(name) + "\" is missing");
  return *found;
}

double PreferenceLines::share(const simdjson::dom::object& object) const {
  const auto element = find(object, "chosen_share");
  double value = 1;
  if (!element) return value;
  if (!element->get(value) && value > 0 && value <= 1) return value;
  refuse_field("chosen_share", shown(*element), "a number in (0, 1]");
}

std::uint32_t PreferenceLines::id(const simdjson::dom::object& object, std::string_view name,
                                  std::uint64_t bound) const {
  const simdjson::dom::element element = field(object, name);
  std::uint64_t value = 0;
  if (!element.get(value) && value < bound) return static_cast<std::uint32_t>(value);
  refuse_field(name, shown(element), "an integer from 0 to " + std::to_string(bound - 1));
}

std::vector<double> PreferenceLines::state(const simdjson::dom::object& object) const {
  const simdjson::dom::element element = field(object, "state");
  const std::string expected = "a list of " + std::to_string(problem_.state_dim()) + " numbers";
  simdjson::dom::array array;
  if (element.get(array)) refuse_field("state", shown(element), expected);
  if (array.size() != problem_.state_dim())
    refuse_field("state", "of length " + std::to_string(array.size()), expected);
  std::vector<double> values;
  values.reserve(array.size());
  for (const simdjson::dom::element item : array) {
    double value = 0;
    if (item.get(value) || !std::isfinite(value)) refuse_field("state", shown(element), expected);
    values.push_back(value);
  }
  return values;
}

std::string line_of(const Preference& preference, bool says_share) {
  std::string line = "{\"state\": [";
  for (std::size_t j = 0; j < preference.state.size(); ++j) {
    if (j > 0) line += ", ";
    line += number_text(preference.state[j]);
  }
  line += "], \"group\": " + std::to_string(preference.group) + ", \"chosen\": " + std::to_string(preference.chosen) +
          ", \"rejected\": " + std::to_string(preference.rejected);
  if (says_share) line += ", \"chosen_share\": " + number_text(preference.chosen_share);
  return line + "}\n";
}

}  // namespace

NotedPreferences read_noted_preferences(const std::filesystem::path& path, const Problem& problem) {
  PreferenceLines lines(path, problem);
  NotedPreferences file;
  for (Preference preference; lines.next(preference);) file.preferences.push_back(preference);
  if (file.preferences.empty())
    throw std::invalid_argument(path.string() + ": has no pairs, expected at least one line");
  file.notes = field_notes(lines.fields());
  return file;
}

void write_preferences(const std::filesystem::path& path, std::span<const Preference> preferences) {
  const bool shares = std::ranges::any_of(preferences, [](const auto& one) { return one.chosen_share != 1; });
  std::string text;
  for (const Preference& preference : preferences) text += line_of(preference, shares);
  write_durably(path, text);
}

}  // namespace equipoise::log_linear
