// What the keys of a YAML mapping may be, read from the message's descriptor.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>

namespace equipoise {

// The field of `message` that `key` names, in snake_case or lowerCamelCase; nullptr if there is none.
const google::protobuf::FieldDescriptor* find_field(const google::protobuf::Descriptor& message, std::string_view key);

// The known key nearest to `key`: a field of `message` by edit distance, or, when `root` has a field of just this name
// in another place, the whole path of that ("loss.beta"). Empty where none is near: as many letters are other ones as
// are the same.
std::string nearest_key(const google::protobuf::Descriptor& root, const google::protobuf::Descriptor& message,
                        std::string_view key);

// Whether `root` or a section below it has a field of just this name.
bool is_known_elsewhere(const google::protobuf::Descriptor& root, std::string_view key);

}  // namespace equipoise
