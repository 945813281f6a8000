// The groups of a pair from the JSON of its line.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/dataset/group_table.h"
#include "common/dataset/preference_pair.h"

namespace equipoise {

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

}  // namespace equipoise
