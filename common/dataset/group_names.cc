#include "common/dataset/group_names.h"

#include <cstddef>
#include <map>
#include <string_view>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

constexpr std::size_t kMostNotes = 3;

std::string without_blanks_and_capitals(std::string_view name) {
  constexpr std::string_view kNoBreakSpace = "\u00a0";
  std::string letters;
  for (std::size_t at = 0; at < name.size(); ++at) {
    const char c = name[at];
    if (c == ' ' || c == '\t') continue;
    if (name.substr(at).starts_with(kNoBreakSpace)) {
      at += kNoBreakSpace.size() - 1;
    } else {
      letters += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  return letters;
}

}  // namespace

std::string list_of_groups(std::span<const std::string> names) {
  constexpr std::size_t kMost = 5;
  std::string list;
  for (std::size_t i = 0; i < names.size() && i < kMost; ++i) list += (i > 0 ? ", " : "") + quoted_text(names[i]);
  return list + (names.size() > kMost ? " and " + std::to_string(names.size() - kMost) + " more" : "");
}

std::vector<std::string> notes_on_similar_groups(std::span<const std::string> names) {
  std::map<std::string, std::vector<std::string>> alike;
  for (const std::string& name : names) alike[without_blanks_and_capitals(name)].push_back(name);
  std::vector<std::string> notes;
  for (const auto& [letters, group] : alike) {
    if (group.size() < 2 || notes.size() == kMostNotes) continue;
    notes.push_back("groups " + list_of_groups(group) + " differ in spaces or capital letters alone and are apart");
  }
  return notes;
}

}  // namespace equipoise
