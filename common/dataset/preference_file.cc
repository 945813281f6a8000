#include <simdjson.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/number_text.h"
#include "common/base/quoted_text.h"
#include "common/dataset/answer_fields.h"
#include "common/dataset/group_table.h"
#include "common/dataset/json_field.h"
#include "common/dataset/line_reader.h"
#include "common/dataset/preference_pair.h"

namespace equipoise {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kLongestLine = 1 << 20;  // 1 MiB
constexpr std::string_view kDefaultGroup = "all";

// The known fields of one line; each may be there once.
struct Fields {
  AnswerFields answers;
  std::optional<dom::element> group, chosen_share;

  std::optional<dom::element>* find(std::string_view key) {
    if (std::optional<dom::element>* field = answers.find(key)) return field;
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
  refuse_value("chosen_share", number ? number_text(share) : found_text(*value), "a number in (0, 1]");
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
    if (!is_utf8(name)) refuse_value("group", quoted_text(name), "Unicode text");
    if (!separator_.empty()) add_levels_above(name, weight);
    memberships_.push_back({groups_.id(name), weight});
  }

  // "Asia" of "Asia/India". Above before below, so that a group never has a smaller id than one that holds it.
  void add_levels_above(std::string_view name, double weight) {
    for (std::size_t begin = 0; begin <= name.size();) {
      const std::size_t end = std::min(name.find(separator_, begin), name.size());
      if (name.substr(begin, end - begin).find_first_not_of(' ') == std::string_view::npos) {
        refuse_value("group", quoted_text(name),
                     "a name on each side of every " + quoted_text(separator_) + " (data.group_separator)");
      }
      if (end < name.size()) levels_above_.push_back({groups_.id(name.substr(0, end)), weight});
      begin = end + separator_.size();
    }
  }

  std::vector<Membership> sorted() {
    if (memberships_.empty()) refuse_value("group", "empty", "at least one group");
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

class PairReader {
 public:
  PairReader(Rejected rejected, MembershipReader memberships)
      : rejected_(rejected), memberships_(std::move(memberships)) {}

  PreferencePair read(const dom::element& document, std::int64_t line) {
    const Fields fields = fields_of(document);
    PreferencePair pair;
    check_prompt(fields.answers.prompt.has_value(), line);
    read_answers(fields.answers, rejected_, pair);
    pair.memberships = memberships_.read(fields.group);
    pair.chosen_share = chosen_share(fields.chosen_share);
    pair.line = line;
    return pair;
  }

 private:
  // A file has prompts or it has none: a misspelt key is not to turn one pair's prompt into what its answers share.
  void check_prompt(bool given, std::int64_t line) {
    if (first_line_ == 0) has_prompts_ = given;
    if (first_line_ == 0) first_line_ = line;
    if (given == has_prompts_) return;
    throw std::invalid_argument(std::string("field \"prompt\" is ") + (given ? "there" : "missing") +
                                ", but not on line " + std::to_string(first_line_) +
                                ", expected all lines to have one or none");
  }

  Rejected rejected_;
  MembershipReader memberships_;
  std::int64_t first_line_ = 0;
  bool has_prompts_ = false;
};

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
  PairReader pairs(rejected, MembershipReader(groups, group_separator));
  PreferenceData data;
  while (lines.next()) {
    if (is_blank(lines.line())) continue;
    try {
      data.pairs.push_back(pairs.read(parse(parser, lines.line()), lines.line_number()));
    } catch (const std::invalid_argument& problem) {
      lines.refuse(problem.what());  // the parts below do not know where they are
    }
  }
  if (data.pairs.empty()) throw std::invalid_argument(path.string() + ": holds no pairs, expected one a line");
  data.group_names = groups.names();
  data.source = path.string();
  return data;
}

}  // namespace equipoise
