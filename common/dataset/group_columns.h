// The groups of pairs: their names and ids, which fields of a line say them, and what these say.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/dataset/preference_pair.h"
#include "common/dataset/preference_reader.h"

namespace equipoise {

class GroupTable {
 public:
  static constexpr std::size_t kMaxGroups = 4096;

  explicit GroupTable(const std::vector<std::string>& names);

  // The id of `name`, a new one if it is not there. Throws std::invalid_argument for a name that is blank, longer than
  // 256 bytes or holds a control character, and for one group too many.
  std::uint32_t id(std::string_view name);
  const std::vector<std::string>& names() const { return names_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> id_of_;
};

// Gives group names their ids and, with a separator, adds the levels above them. All throw std::invalid_argument naming
// the field, without the file's name. What read() returned is there until the next call.
class MembershipReader {
 public:
  // `groups` outlives it. An empty separator: names have no levels.
  MembershipReader(GroupTable& groups, std::string separator) : groups_(groups), separator_(std::move(separator)) {}

  // Of one group.
  const std::vector<Membership>& read(std::string_view name);
  // Of a value of `field`: a name, a list of names or an object of memberships. Integers, true and false are names too.
  const std::vector<Membership>& read(std::string_view field, const simdjson::dom::element& value);

 private:
  void add(std::string_view field, std::string_view name, double weight);
  void add_levels_above(std::string_view field, std::string_view name, double weight);
  const std::vector<Membership>& sorted(std::string_view field);
  void merge_levels_above();

  GroupTable& groups_;
  std::string separator_;
  std::vector<Membership> memberships_;
  std::vector<Membership> levels_above_;
};

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
