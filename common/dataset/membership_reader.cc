#include "common/dataset/membership_reader.h"

#include <algorithm>
#include <stdexcept>

#include "common/base/number_text.h"
#include "common/base/quoted_text.h"
#include "common/dataset/json_field.h"

namespace equipoise {
namespace {

namespace dom = simdjson::dom;

double membership_weight(std::string_view field, std::string_view group, const dom::element& value) {
  double weight = 0;
  const bool number = value.get_double().get(weight) == simdjson::SUCCESS;
  if (!number || !(weight > 0 && weight <= 1)) {
    throw std::invalid_argument("field \"" + std::string(field) + "\" gives " + quoted_text(group) +
                                " the membership " + (number ? number_text(weight) : found_text(value)) +
                                ", expected one in (0, 1]");
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

}  // namespace equipoise
