#include "coordinator/service/wrong_field.h"

#include <algorithm>
#include <array>

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kLongestPath = 128;

bool is_of_path(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '[' || c == ']';
}

// "train_files" of "train_files[3]"; empty: it is no name of a field.
std::string_view field_name(std::string_view part) {
  const std::size_t bracket = part.find('[');
  if (bracket == std::string_view::npos) return part.find(']') == std::string_view::npos ? part : "";
  const std::string_view index = part.substr(bracket);
  const bool is_index =
      index.size() > 2 && index.back() == ']' &&
      std::ranges::all_of(index.substr(1, index.size() - 2), [](char c) { return c >= '0' && c <= '9'; });
  return is_index ? part.substr(0, bracket) : "";
}

bool has_path(const google::protobuf::Descriptor& message, std::string_view path) {
  const google::protobuf::Descriptor* at = &message;
  while (true) {
    const std::size_t end = std::min(path.find('.'), path.size());
    const google::protobuf::FieldDescriptor* const field =
        at == nullptr ? nullptr : at->FindFieldByName(std::string(field_name(path.substr(0, end))));
    if (field == nullptr) return false;
    if (end == path.size()) return true;
    at = field->is_map() ? nullptr : field->message_type();
    path.remove_prefix(end + 1);
  }
}

// A word alone may be one of a sentence: "step 3 is on record with other numbers".
bool is_field_at_work(std::string_view path, std::string_view rest) {
  if (path.find_first_of("_.[") != std::string_view::npos) return true;
  constexpr std::array<std::string_view, 6> kVerbs = {" is ", " has ", " names ", " lacks ", ": ", ", column "};
  return std::ranges::any_of(kVerbs, [&](std::string_view verb) { return rest.starts_with(verb); });
}

}  // namespace

std::string wrong_field(std::string_view text, const google::protobuf::Descriptor& request) {
  const auto* const end = std::ranges::find_if_not(text, is_of_path);
  const std::string path(text.begin(), end);
  const std::string_view rest = text.substr(path.size());
  const bool ends_a_word = rest.empty() || rest.front() == ' ' || rest.front() == ':' || rest.front() == ',';
  if (path.empty() || path.size() > kLongestPath || !ends_a_word || !is_field_at_work(path, rest)) return "";
  for (const char* const prefix : {"", "spec.", "settings."}) {
    std::string whole = prefix + path;
    if (has_path(request, whole)) return whole;
  }
  return "";
}

}  // namespace equipoise::coordinator
