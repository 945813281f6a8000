#include "common/base/nearest_name.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <vector>

namespace equipoise {

std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> distance(to.size() + 1);  // of the part of `from` seen so far to each start of `to`
  std::iota(distance.begin(), distance.end(), std::size_t{0});
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t diagonal = distance[0]++;
    for (std::size_t j = 0; j < to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = distance[j + 1];
      distance[j + 1] = std::min({replaced, diagonal + 1, distance[j] + 1});
    }
  }
  return distance.back();
}

std::string nearest_name(std::string_view name, std::span<const std::string> known) {
  const auto closer = [name](const std::string& a, const std::string& b) {
    return edit_distance(name, a) < edit_distance(name, b);
  };
  const auto found = std::min_element(known.begin(), known.end(), closer);
  return found == known.end() ? "" : *found;
}

bool is_similar(std::string_view name, std::string_view known) {
  if (name.empty() || known.empty()) return false;
  return edit_distance(name, known) <= std::max<std::size_t>(1, name.size() / 2) || known.starts_with(name) ||
         name.starts_with(known);
}

std::string similar_name(std::string_view name, std::span<const std::string> known) {
  std::vector<std::string> similar;
  std::ranges::copy_if(known, std::back_inserter(similar), [name](const auto& one) { return is_similar(name, one); });
  return nearest_name(name, similar);
}

}  // namespace equipoise
