#include <simdjson.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/number_text.h"
#include "common/base/quoted_text.h"
#include "common/dataset/group_table.h"
#include "common/dataset/line_reader.h"
#include "common/dataset/preference_pair.h"

namespace equipoise {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kLongestLine = 1 << 20;  // 1 MiB
constexpr std::string_view kDefaultGroup = "all";

[[noreturn]] void refuse(std::string_view field, const std::string& found, std::string_view wanted) {
  throw std::invalid_argument("field \"" + std::string(field) + "\" is " + found + ", expected " + std::string(wanted));
}

std::string found_text(const dom::element& value) {
  switch (value.type()) {
    case dom::element_type::STRING:
      return quoted_text(value.get_string().value_unsafe());
    case dom::element_type::ARRAY:
      return "a list";
    case dom::element_type::OBJECT:
      return "an object";
    case dom::element_type::NULL_VALUE:
      return "null";
    case dom::element_type::BOOL:
      return "true or false";
    default:
      return "a number";
  }
}

std::string_view text_of(std::string_view field, const dom::element& value, std::string_view wanted) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) refuse(field, found_text(value), wanted);
  // Escapes can spell half a surrogate pair.
  if (!is_utf8(text)) refuse(field, quoted_text(text), "Unicode text");
  return text;
}

// The known fields of one line; each may be there once.
struct Fields {
  std::optional<dom::element> prompt, chosen, rejected, group, chosen_share;

  std::optional<dom::element>* find(std::string_view key) {
    if (key == "prompt") return &prompt;
    if (key == "chosen") return &chosen;
    if (key == "rejected") return &rejected;
    if (key == "chosen_share") return &chosen_share;
    return key == "group" ? &group : nullptr;
  }
};

Fields fields_of(const dom::element& document) {
  dom::object object;
  if (document.get_object().get(object) != simdjson::SUCCESS) {
    throw std::invalid_argument("the line is " + found_text(document) + ", expected an object {\"prompt\": ...}");
  }
  Fields fields;
  for (const auto& [key, value] : object) {
    std::optional<dom::element>* field = fields.find(key);
    if (field == nullptr) continue;
    if (*field) throw std::invalid_argument("field \"" + std::string(key) + "\" is given twice");
    *field = value;
  }
  return fields;
}

std::string required_text(std::string_view field, const std::optional<dom::element>& value) {
  if (!value) throw std::invalid_argument("field \"" + std::string(field) + "\" is missing, expected text");
  return std::string(text_of(field, *value, "text"));
}

double membership_weight(std::string_view group, const dom::element& value) {
  double weight = 0;
  const bool number = value.get_double().get(weight) == simdjson::SUCCESS;
  if (!number || !(weight > 0 && weight <= 1)) {
    throw std::invalid_argument("field \"group\" gives " + quoted_text(group) + " the membership " +
                                (number ? number_text(weight) : found_text(value)) + ", expected one in (0, 1]");
  }
  return weight;
}

double chosen_share(const std::optional<dom::element>& value) {
  if (!value) return 1;
  double share = 0;
  const bool number = value->get_double().get(share) == simdjson::SUCCESS;
  if (number && share > 0 && share <= 1) return share;
  refuse("chosen_share", number ? number_text(share) : found_text(*value), "a number in (0, 1]");
}

class MembershipReader {
 public:
  MembershipReader(GroupTable& groups, std::string_view separator) : groups_(groups), separator_(separator) {}

  std::vector<Membership> read(const std::optional<dom::element>& group) {
    memberships_.clear();
    levels_above_.clear();
    if (!group) {
      add(kDefaultGroup, 1);
    } else if (group->is_array()) {
      for (const dom::element& name : dom::array(*group)) add(text_of("group", name, "names in the list"), 1);
    } else if (group->is_object()) {
      for (const auto& [name, weight] : dom::object(*group)) add(name, membership_weight(name, weight));
    } else {
      add(text_of("group", *group, "a name, a list of names or an object of memberships"), 1);
    }
    return sorted();
  }

 private:
  void add(std::string_view name, double weight) {
    if (!is_utf8(name)) refuse("group", quoted_text(name), "Unicode text");
    if (!separator_.empty()) add_levels_above(name, weight);
    memberships_.push_back({groups_.id(name), weight});
  }

  // "Asia" of "Asia/India". Above before below, so that a group never has a smaller id than one that holds it.
  void add_levels_above(std::string_view name, double weight) {
    for (std::size_t begin = 0; begin <= name.size();) {
      const std::size_t end = std::min(name.find(separator_, begin), name.size());
      if (name.substr(begin, end - begin).find_first_not_of(' ') == std::string_view::npos) {
        refuse("group", quoted_text(name),
               "a name on each side of every " + quoted_text(separator_) + " (data.group_separator)");
      }
      if (end < name.size()) levels_above_.push_back({groups_.id(name.substr(0, end)), weight});
      begin = end + separator_.size();
    }
  }

  std::vector<Membership> sorted() {
    if (memberships_.empty()) refuse("group", "empty", "at least one group");
    std::sort(memberships_.begin(), memberships_.end(), [](auto a, auto b) { return a.group < b.group; });
    const auto twice =
        std::adjacent_find(memberships_.begin(), memberships_.end(), [](auto a, auto b) { return a.group == b.group; });
    if (twice != memberships_.end()) {
      throw std::invalid_argument("field \"group\" names " + quoted_text(groups_.names()[twice->group]) + " twice");
    }
    if (!levels_above_.empty()) merge_levels_above();
    return memberships_;
  }

  // A level above may be met several times, or be named as well: its largest weight counts.
  void merge_levels_above() {
    memberships_.insert(memberships_.end(), levels_above_.begin(), levels_above_.end());
    std::sort(memberships_.begin(), memberships_.end(),
              [](auto a, auto b) { return a.group != b.group ? a.group < b.group : a.weight > b.weight; });
    const auto end =
        std::unique(memberships_.begin(), memberships_.end(), [](auto a, auto b) { return a.group == b.group; });
    memberships_.erase(end, memberships_.end());
  }

  GroupTable& groups_;
  std::string_view separator_;  // empty: names have no levels
  std::vector<Membership> memberships_;
  std::vector<Membership> levels_above_;
};

PreferencePair pair_of(const dom::element& document, Rejected rejected, MembershipReader& memberships) {
  const Fields fields = fields_of(document);
  PreferencePair pair;
  pair.prompt = required_text("prompt", fields.prompt);
  pair.chosen = required_text("chosen", fields.chosen);
  if (fields.rejected || rejected == Rejected::kRequired) pair.rejected = required_text("rejected", fields.rejected);
  pair.memberships = memberships.read(fields.group);
  pair.chosen_share = chosen_share(fields.chosen_share);
  return pair;
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

dom::element parse(dom::parser& parser, std::string_view line) {
  dom::element document;
  const auto problem = parser.parse(line.data(), line.size(), false).get(document);
  if (problem == simdjson::UTF8_ERROR) throw std::invalid_argument("the line is not UTF-8");
  if (problem != simdjson::SUCCESS) {
    throw std::invalid_argument(std::string("the line is not JSON: ") + simdjson::error_message(problem));
  }
  return document;
}

}  // namespace

PreferenceData read_preference_file(const std::filesystem::path& path, Rejected rejected,
                                    std::vector<std::string> known_groups, std::string_view group_separator) {
  LineReader lines(path, {.longest_line = kLongestLine, .padding = simdjson::SIMDJSON_PADDING});
  dom::parser parser;
  GroupTable groups(known_groups);
  MembershipReader memberships(groups, group_separator);
  PreferenceData data;
  while (lines.next()) {
    if (is_blank(lines.line())) continue;
    try {
      data.pairs.push_back(pair_of(parse(parser, lines.line()), rejected, memberships));
    } catch (const std::invalid_argument& problem) {
      lines.refuse(problem.what());  // the parts below do not know where they are
    }
  }
  if (data.pairs.empty()) throw std::invalid_argument(path.string() + ": holds no pairs, expected one a line");
  data.group_names = groups.names();
  return data;
}

}  // namespace equipoise
