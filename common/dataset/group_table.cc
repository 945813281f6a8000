#include "common/dataset/group_table.h"

#include <algorithm>
#include <stdexcept>

#include "common/base/quoted_text.h"

namespace equipoise {
namespace {

void check_name(std::string_view name) {
  constexpr std::size_t kLongestName = 256;  // names become labels of metrics and columns of tables
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  const bool blank = name.find_first_not_of(' ') == std::string_view::npos;
  if (!blank && name.size() <= kLongestName && std::none_of(name.begin(), name.end(), is_control)) return;
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

}  // namespace equipoise
