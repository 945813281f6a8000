#include "common/config/message_schema.h"

#include "common/base/nearest_name.h"

namespace equipoise {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

namespace {

// Path of a field named `key` below `message`, empty if there is none. The schema is a tree but for lists in lists,
// which have no names.
std::string path_of(const Descriptor& message, std::string_view key) {
  if (const FieldDescriptor* field = find_field(message, key)) return field->name();
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    if (field.is_repeated() || field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const std::string below = path_of(*field.message_type(), key);
    if (!below.empty()) return field.name() + "." + below;
  }
  return "";
}

}  // namespace

const FieldDescriptor* find_field(const Descriptor& message, std::string_view key) {
  for (int i = 0; i < message.field_count(); ++i) {
    if (message.field(i)->name() == key || message.field(i)->json_name() == key) return message.field(i);
  }
  return nullptr;
}

std::string nearest_key(const Descriptor& root, const Descriptor& message, std::string_view key) {
  if (std::string elsewhere = path_of(root, key); !elsewhere.empty()) return elsewhere;
  constexpr std::size_t kLongestKey = 64;  // the distance costs the product of the lengths
  key = key.substr(0, kLongestKey);
  std::string nearest;
  for (int i = 0; i < message.field_count(); ++i) {
    const std::string& name = message.field(i)->name();
    if (nearest.empty() || edit_distance(key, name) < edit_distance(key, nearest)) nearest = name;
  }
  return is_similar(key, nearest) ? nearest : "";
}

bool is_known_elsewhere(const Descriptor& root, std::string_view key) { return !path_of(root, key).empty(); }

}  // namespace equipoise
