#include "common/config/yaml_message.h"

#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "common/base/quoted_text.h"
#include "common/config/message_schema.h"
#include "common/config/yaml_scalar.h"

namespace equipoise {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

namespace {

std::string value_text(const YAML::Node& node) {
  if (node.IsMap()) return "a mapping";
  if (node.IsSequence()) return "a list";
  return node.IsNull() ? "empty" : quoted_text(node.Scalar());
}

class Reader {
 public:
  Reader(const YamlSource& source, const Descriptor& root) : source_(source), root_(root) {}

  // `prefix` is the path of `message`, "" or "loss.".
  void mapping(const YAML::Node& node, const std::string& prefix, Message& message) const {
    if (!node.IsMap())
      refuse_value(node, prefix.empty() ? "the job" : prefix.substr(0, prefix.size() - 1), "a mapping");
    std::map<const FieldDescriptor*, int> line_of;
    for (const auto& entry : node) {
      const FieldDescriptor& known = known_field(entry.first, prefix, *message.GetDescriptor());
      const auto [earlier, is_new] = line_of.emplace(&known, entry.first.Mark().line + 1);
      if (!is_new) refuse_twice(entry.first, prefix + known.name(), earlier->second);
      field(entry.second, prefix + known.name(), known, message);
    }
  }

  void field(const YAML::Node& node, const std::string& path, const FieldDescriptor& known, Message& message) const {
    if (node.IsNull()) return;
    if (known.is_map()) return map_entries(node, path, known, message);
    if (known.is_repeated()) return list(node, path, known, message);
    if (known.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return mapping(node, path + ".", *message.GetReflection()->MutableMessage(&message, &known));
    }
    scalar(node, path, known, message);
  }

  void map_entry(const YAML::Node& value, const std::string& path, const std::string& key, const FieldDescriptor& known,
                 Message& message) const {
    if (key.empty()) refuse_value(value, path, "a name before the colon");
    Message& entry = *message.GetReflection()->AddMessage(&message, &known);
    entry.GetReflection()->SetString(&entry, known.message_type()->map_key(), key);
    scalar(value, path + "." + key, *known.message_type()->map_value(), entry);
  }

  const FieldDescriptor& known_field(const YAML::Node& key, const std::string& prefix,
                                     const Descriptor& message) const {
    if (!key.IsScalar()) refuse_value(key, "a key of " + (prefix.empty() ? "the job" : prefix), "a name");
    if (const FieldDescriptor* known = find_field(message, key.Scalar())) return *known;
    source_.refuse(key.Mark(), "unknown key " + quoted_text(prefix + key.Scalar()) + ", the nearest known one is " +
                                   suggestion(key.Scalar(), prefix, message));
  }

 private:
  std::string suggestion(const std::string& key, const std::string& prefix, const Descriptor& message) const {
    const std::string nearest = nearest_key(root_, message, key);
    const bool sibling = find_field(message, nearest) != nullptr;
    return quoted_text((sibling ? prefix : "") + nearest);
  }

  void list(const YAML::Node& node, const std::string& path, const FieldDescriptor& known, Message& message) const {
    if (!node.IsSequence()) refuse_value(node, path, "a list such as [a, b]");
    for (std::size_t i = 0; i < node.size(); ++i) {
      if (known.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        item(node[i], path + "[" + std::to_string(i) + "]", *message.GetReflection()->AddMessage(&message, &known));
      } else {
        scalar(node[i], path, known, message);
      }
    }
  }

  void item(const YAML::Node& node, const std::string& path, Message& message) const {
    if (message.GetDescriptor() == google::protobuf::ListValue::descriptor()) return numbers(node, path, message);
    mapping(node, path + ".", message);
  }

  // A list in a list: google.protobuf.ListValue, which the JSON mapping writes as a list.
  void numbers(const YAML::Node& node, const std::string& path, Message& message) const {
    if (!node.IsSequence()) refuse_value(node, path, "a list of numbers such as [1, 3]");
    const FieldDescriptor& number = *google::protobuf::Value::descriptor()->FindFieldByName("number_value");
    auto& list_value = dynamic_cast<google::protobuf::ListValue&>(message);
    for (const YAML::Node& item : node) scalar(item, path, number, *list_value.add_values());
  }

  void map_entries(const YAML::Node& node, const std::string& path, const FieldDescriptor& known,
                   Message& message) const {
    const bool has_texts = known.message_type()->map_value()->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    if (!node.IsMap()) {
      refuse_value(node, path, has_texts ? "a mapping from names to texts" : "a mapping from group names to numbers");
    }
    std::map<std::string, int> line_of;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) refuse_value(entry.first, "a key of " + path, "a name");
      const std::string& key = entry.first.Scalar();
      const auto [earlier, is_new] = line_of.emplace(key, entry.first.Mark().line + 1);
      if (!is_new) refuse_twice(entry.first, path + "." + key, earlier->second);
      map_entry(entry.second, path, key, known, message);
    }
  }

  void scalar(const YAML::Node& node, const std::string& path, const FieldDescriptor& known, Message& message) const {
    if (!node.IsScalar()) refuse_value(node, path, "one value");
    const std::string wanted = set_scalar(message, known, node.Scalar());
    if (!wanted.empty()) refuse_value(node, path, wanted);
  }

  [[noreturn]] void refuse_value(const YAML::Node& node, const std::string& what, const std::string& wanted) const {
    source_.refuse(node.Mark(), what + " is " + value_text(node) + ", expected " + wanted);
  }

  [[noreturn]] void refuse_twice(const YAML::Node& key, const std::string& path, int earlier_line) const {
    source_.refuse(key.Mark(), path + " is given twice, first on line " + std::to_string(earlier_line));
  }

  const YamlSource& source_;
  const Descriptor& root_;
};

}  // namespace

void YamlSource::refuse(const YAML::Mark& mark, const std::string& what) const {
  if (one_line_) throw std::invalid_argument(name_ + ": " + what);
  throw std::invalid_argument(name_ + ":" + std::to_string(std::max(mark.line, 0) + 1) + ": " + what);
}

YAML::Node parse_yaml(const YamlSource& source, const std::string& text) {
  if (!is_utf8(text)) source.refuse(YAML::Mark(), "the text is not UTF-8");
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1) source.refuse(documents[1].Mark(), "a second document starts, expected one");
    return documents.empty() ? YAML::Node() : documents[0];
  } catch (const YAML::Exception& problem) {
    source.refuse(problem.mark, "not YAML: " + problem.msg);
  }
}

void merge_yaml(const YamlSource& source, const YAML::Node& node, Message& message) {
  Reader(source, *message.GetDescriptor()).mapping(node, "", message);
}

void set_yaml_field(const YamlSource& source, std::string_view path, const YAML::Node& node, Message& message) {
  const Reader reader(source, *message.GetDescriptor());
  Message* owner = &message;
  std::string prefix;
  while (true) {
    const std::size_t dot = path.find('.');
    const FieldDescriptor& known =
        reader.known_field(YAML::Node(std::string(path.substr(0, dot))), prefix, *owner->GetDescriptor());
    if (dot == std::string_view::npos) {
      owner->GetReflection()->ClearField(owner, &known);
      return reader.field(node, prefix + known.name(), known, *owner);
    }
    path.remove_prefix(dot + 1);
    prefix += known.name() + ".";
    if (known.is_map()) {
      return reader.map_entry(node, prefix.substr(0, prefix.size() - 1), std::string(path), known, *owner);
    }
    if (known.is_repeated() || known.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      source.refuse(YAML::Mark(), prefix + std::string(path) + " does not exist: " + known.name() +
                                      (known.is_repeated() ? " is a list" : " is one value"));
    }
    owner = owner->GetReflection()->MutableMessage(owner, &known);
  }
}

}  // namespace equipoise
