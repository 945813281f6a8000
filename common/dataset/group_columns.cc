#include "common/dataset/group_columns.h"

#include <algorithm>
#include <stdexcept>

#include "common/base/quoted_text.h"
#include "common/dataset/answer_fields.h"
#include "common/dataset/json_field.h"
#include "common/dataset/pair_numbers.h"

namespace equipoise {
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
