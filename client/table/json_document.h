// A result of the command as JSON and YAML, for programs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace equipoise {

// Indented by two, fields in the order in which they were added; ends with a newline. Numbers read back to the same
// bits, one that is not finite is null; bytes that are no UTF-8, as of a file's name, become U+FFFD.
std::string json_document(const nlohmann::ordered_json& value);

// The same values as YAML, in the same order, without a comment or an anchor. `json` is one JSON value.
std::string yaml_of_json(const std::string& json);

}  // namespace equipoise
