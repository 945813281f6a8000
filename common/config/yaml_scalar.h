// One YAML scalar as a value of a Protobuf field.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace equipoise {

// Sets the singular `field`, or appends to the repeated one. Returns what was expected if `text` is not that,
// an empty string if all went well. Numbers are decimal ("1.0e-5", "3", "1e3" for an integer).
std::string set_scalar(google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field,
                       const std::string& text);

}  // namespace equipoise
