// A Protobuf message from a YAML document, by descriptor: the JSON mapping with short enum names.
#pragma once

#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include <string>
#include <string_view>

namespace equipoise {

// Sets the singular `field`, or appends to the repeated one. Returns what was expected if `text` is not that,
// an empty string if all went well. Numbers are decimal ("1.0e-5", "3", "1e3" for an integer).
std::string set_scalar(google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field,
                       const std::string& text);

// Where a node stands, for messages: "job.yaml:7: " or "--set loss.beta=x: ".
class YamlSource {
 public:
  static YamlSource file(std::string path) { return YamlSource(std::move(path), false); }
  static YamlSource text(std::string text) { return YamlSource(std::move(text), true); }
  [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& what) const;

 private:
  YamlSource(std::string name, bool one_line) : name_(std::move(name)), one_line_(one_line) {}
  std::string name_;
  bool one_line_;
};

// Parses one document. Throws std::invalid_argument with the line: bad YAML, more than one document, not UTF-8.
YAML::Node parse_yaml(const YamlSource& source, const std::string& text);

// Sets the fields that the mapping `node` names. Null values leave a field absent. Throws std::invalid_argument with
// the line: an unknown key, one given twice, a value of the wrong type. `message` is then partly set.
void merge_yaml(const YamlSource& source, const YAML::Node& node, google::protobuf::Message& message);

// Sets the one field at `path` ("loss.beta", "data.group_counts.India") to `node`, in place of what it was.
void set_yaml_field(const YamlSource& source, std::string_view path, const YAML::Node& node,
                    google::protobuf::Message& message);

}  // namespace equipoise
