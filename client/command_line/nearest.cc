#include "client/command_line/nearest.h"

#include <algorithm>

#include "common/config/message_schema.h"

namespace equipoise {

std::string nearest(std::string_view word, std::span<const std::string> known) {
  const auto closer = [word](const std::string& a, const std::string& b) {
    return edit_distance(word, a) < edit_distance(word, b);
  };
  const auto found = std::min_element(known.begin(), known.end(), closer);
  return found == known.end() ? "" : *found;
}

}  // namespace equipoise
