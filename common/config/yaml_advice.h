// What a message about a job's YAML adds: the usual slip behind it, and what to write.
#pragma once

#include <google/protobuf/descriptor.h>
#include <yaml-cpp/yaml.h>

#include <string>
#include <string_view>

namespace equipoise {

// Where the text is not YAML, and why in one line: tabs by their own line, not where the parser gave up.
struct YamlFault {
  YAML::Mark mark;
  std::string what;
};
YamlFault explained(const YAML::Exception& problem, const std::string& text);

// Of bytes that are not UTF-8: ": it looks like UTF-16 ..."; empty where nothing is known.
std::string encoding_advice(std::string_view text);

// The rest is appended to a message, and empty where nothing is known.
//   value_advice         of a scalar that a field does not take: "sigmoid" for loss.type, "yes", "1_000", "None"
//   mapping_advice       of a node where a section is expected: " such as {type: dpo}"
//   single_value_advice  of a list or mapping where `path` wants one value: data.train
//   key_advice           of a key that is no field's: one that holds the value too, "beta:0.1"
std::string value_advice(const google::protobuf::FieldDescriptor& field, const std::string& value);
std::string mapping_advice(const google::protobuf::Descriptor& section, const YAML::Node& found);
std::string single_value_advice(std::string_view path);
std::string key_advice(std::string_view key);

// "[a, b]"; of what was found alone where it is one value: "[all-linear]".
std::string list_example(const google::protobuf::FieldDescriptor& field, const YAML::Node& found);

}  // namespace equipoise
