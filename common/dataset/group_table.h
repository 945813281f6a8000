// Group names and their ids, in the order of first appearance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

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

}  // namespace equipoise
