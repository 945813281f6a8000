// Which fields of a line say the group of its pair, and what they say.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/dataset/group_table.h"
#include "common/dataset/membership_reader.h"
#include "common/dataset/preference_reader.h"

namespace equipoise {

// See PreferenceReadSettings.
class GroupColumns {
 public:
  // `groups` outlives it. Throws std::invalid_argument for settings that contradict themselves.
  GroupColumns(const PreferenceReadSettings& settings, GroupTable& groups);

  // The names, none where all pairs have one group.
  const std::vector<std::string>& names() const { return names_; }
  // Whether a pair need not say its group.
  bool may_lack() const;
  // Whether the current line has "group"; nothing where another field, or none, says it.
  std::optional<bool> has_usual() const;
  // The place for the value of field `key` of the current line; nullptr for another field.
  std::optional<simdjson::dom::element>* find(std::string_view key);
  void clear();  // before the next line

  // By the values found, until the next call. Throws std::invalid_argument naming the field, without the file's name.
  const std::vector<Membership>& memberships();

 private:
  const std::vector<Membership>& crossed();
  const simdjson::dom::element& required(std::size_t column) const;

  std::vector<std::string> names_;
  std::vector<std::optional<simdjson::dom::element>> values_;  // one for each name
  std::string joint_;                                          // between crossed values
  MembershipReader reader_;
  std::string crossed_name_;
  std::vector<Membership> constant_;  // empty: names_ say
};

}  // namespace equipoise
