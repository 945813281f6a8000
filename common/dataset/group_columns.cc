#include "common/dataset/group_columns.h"

#include <algorithm>
#include <stdexcept>

#include "common/base/message_text.h"
#include "common/dataset/answer_fields.h"
#include "common/dataset/json_field.h"

namespace equipoise {
namespace {

void check_name(std::string_view name) {
  constexpr std::size_t kLongestName = 256;  // names become labels of metrics and columns of tables
  const bool blank = name.find_first_not_of(' ') == std::string_view::npos;
  if (!blank && name.size() <= kLongestName && !has_control(name)) return;
  throw std::invalid_argument("field \"group\" is " + quoted_text(name) +
                              ", expected a name of 1 to 256 bytes without control characters");
}

}  // namespace

GroupTable::GroupTable(const std::vector<std::string>& names) {
  for (const std::string& name : names) id(name);
}

std::uint32_t GroupTable::id(std::string_view name) {
  if (const auto known = id_of_.find(name); known != id_of_.end()) return known->second;
  check_name(name);
  if (names_.size() == kMaxGroups) {
    throw std::invalid_argument("field \"group\" is " + quoted_text(name) + ", which is one more than the " +
                                std::to_string(kMaxGroups) + " groups that a data set may have");
  }
  const auto id = static_cast<std::uint32_t>(names_.size());
  names_.emplace_back(name);
  id_of_.emplace(name, id);
  return id;
}

namespace {

namespace dom = simdjson::dom;

double membership_weight(std::string_view field, std::string_view group, const dom::element& value) {
  double weight = 0;
  const bool number = value.get_double().get(weight) == simdjson::SUCCESS;
  if (!number || !(weight >= kSmallestMembership && weight <= 1)) {
    throw std::invalid_argument("field \"" + std::string(field) + "\" gives " + quoted_text(group) +
                                " the membership " + (number ? number_text(weight) : found_text(value)) +
                                ", expected a number from 1e-6 to 1");
  }
  return weight;
}

}  // namespace

const std::vector<Membership>& MembershipReader::read(std::string_view name) {
  memberships_.clear();
  levels_above_.clear();
  add("group", name, 1);
  return sorted("group");
}

const std::vector<Membership>& MembershipReader::read(std::string_view field, const dom::element& value) {
  memberships_.clear();
  levels_above_.clear();
  if (value.is_array()) {
    for (const dom::element& name : dom::array(value)) add(field, scalar_text(field, name, "names in the list"), 1);
  } else if (value.is_object()) {
    for (const auto& [name, weight] : dom::object(value)) add(field, name, membership_weight(field, name, weight));
  } else {
    add(field, scalar_text(field, value, "a name, a list of names or an object of memberships"), 1);
  }
  return sorted(field);
}

void MembershipReader::add(std::string_view field, std::string_view name, double weight) {
  if (!simdjson::validate_utf8(name)) refuse_half_surrogate(field, name);
  if (!separator_.empty()) add_levels_above(field, name, weight);
  memberships_.push_back({groups_.id(name), weight});
}

// "Asia" of "Asia/India". Above before below, so that a group never has a smaller id than one that holds it.
void MembershipReader::add_levels_above(std::string_view field, std::string_view name, double weight) {
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find(separator_, begin), name.size());
    if (name.substr(begin, end - begin).find_first_not_of(' ') == std::string_view::npos) {
      refuse_value(field, quoted_text(name),
                   "a name on each side of every " + quoted_text(separator_) + " (data.group_separator)");
    }
    if (end < name.size()) levels_above_.push_back({groups_.id(name.substr(0, end)), weight});
    begin = end + separator_.size();
  }
}

const std::vector<Membership>& MembershipReader::sorted(std::string_view field) {
  if (memberships_.empty()) refuse_value(field, "empty", "at least one group");
  std::sort(memberships_.begin(), memberships_.end(), [](auto a, auto b) { return a.group < b.group; });
  const auto twice =
      std::adjacent_find(memberships_.begin(), memberships_.end(), [](auto a, auto b) { return a.group == b.group; });
  if (twice != memberships_.end()) {
    throw std::invalid_argument("field \"" + std::string(field) + "\" names " +
                                quoted_text(groups_.names()[twice->group]) + " twice");
  }
  if (!levels_above_.empty()) merge_levels_above();
  return memberships_;
}

// A level above may be met several times, or be named as well: its largest weight counts.
void MembershipReader::merge_levels_above() {
  memberships_.insert(memberships_.end(), levels_above_.begin(), levels_above_.end());
  std::sort(memberships_.begin(), memberships_.end(),
            [](auto a, auto b) { return a.group != b.group ? a.group < b.group : a.weight > b.weight; });
  const auto end =
      std::unique(memberships_.begin(), memberships_.end(), [](auto a, auto b) { return a.group == b.group; });
  memberships_.erase(end, memberships_.end());
}

namespace {

namespace dom = simdjson::dom;

constexpr std::string_view kUsualColumn = "group";
constexpr std::string_view kDefaultGroup = "all";

bool is_usual(const std::vector<std::string>& columns) { return columns.size() == 1 && columns[0] == kUsualColumn; }

void check_column(const std::string& column, const std::vector<std::string>& columns) {
  const auto refuse = [&](const std::string& what) {
    throw std::invalid_argument("group column " + quoted_text(column) + " " + what);
  };
  if (column.empty()) refuse("is empty, expected the name of a field");
  if (std::count(columns.begin(), columns.end(), column) > 1) refuse("is given twice");
  if (AnswerFields().find(column) != nullptr || PairNumbers().find(column) != nullptr) {
    refuse("is a field of the answers, expected one that says who answered");
  }
}

std::vector<std::string> checked_columns(const PreferenceReadSettings& settings) {
  const std::vector<std::string>& columns = settings.group_columns;
  if (columns.empty())
    throw std::invalid_argument("there is no group column, expected at least one, such as \"group\"");
  for (const std::string& column : columns) check_column(column, columns);
  if (settings.group.empty()) return columns;
  if (is_usual(columns)) return {};
  throw std::invalid_argument("group " + quoted_text(settings.group) + " is given beside group columns " +
                              quoted_text(columns[0]) + (columns.size() > 1 ? ", ..." : "") +
                              ", expected one or the other");
}

void append_scalar(std::string_view column, const dom::element& value, std::string& name) {
  const std::string text = scalar_text(column, value, "text, an integer, true or false");
  if (text.find_first_not_of(' ') == std::string_view::npos) refuse_value(column, quoted_text(text), "a name");
  name += text;
}

}  // namespace

GroupColumns::GroupColumns(const PreferenceReadSettings& settings, GroupTable& groups)
    : names_(checked_columns(settings)),
      values_(names_.size()),
      joint_(settings.group_separator.empty() ? " & " : settings.group_separator),
      reader_(groups, settings.group_separator) {
  if (names_.empty()) constant_ = reader_.read(settings.group);
}

bool GroupColumns::may_lack() const { return names_.empty() || is_usual(names_); }

std::optional<bool> GroupColumns::has_usual() const {
  return is_usual(names_) ? std::optional(values_[0].has_value()) : std::nullopt;
}

std::optional<dom::element>* GroupColumns::find(std::string_view key) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (key == names_[i]) return &values_[i];
  }
  return nullptr;
}

void GroupColumns::clear() {
  for (std::optional<dom::element>& value : values_) value.reset();
}

const std::vector<Membership>& GroupColumns::memberships() {
  if (!constant_.empty()) return constant_;
  if (is_usual(names_)) return values_[0] ? reader_.read(kUsualColumn, *values_[0]) : reader_.read(kDefaultGroup);
  const bool one = names_.size() == 1;
  if (one && (required(0).is_array() || required(0).is_object())) return reader_.read(names_[0], *values_[0]);
  return crossed();
}

const std::vector<Membership>& GroupColumns::crossed() {
  crossed_name_.clear();
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (i > 0) crossed_name_ += joint_;
    append_scalar(names_[i], required(i), crossed_name_);
  }
  return reader_.read(crossed_name_);
}

const dom::element& GroupColumns::required(std::size_t column) const {
  if (values_[column] && !values_[column]->is_null()) return *values_[column];
  throw std::invalid_argument("field \"" + names_[column] + "\" is " + (values_[column] ? "null" : "missing") +
                              ", expected one on every line: it is a group column");
}

}  // namespace equipoise
