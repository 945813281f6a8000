#include "common/config/yaml_message.h"

#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>

#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/config/field_check.h"
#include "common/config/foreign_names.h"
#include "common/config/message_schema.h"
#include "common/config/yaml_advice.h"

namespace equipoise {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

namespace {

// "r, alpha, dropout"
std::string names_of_fields(const google::protobuf::Descriptor& message) {
  std::string names;
  for (int i = 0; i < message.field_count(); ++i) names += (i > 0 ? ", " : "") + message.field(i)->name();
  return names;
}

template <class Number>
std::optional<Number> whole_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  Number value{};
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> real_number(std::string_view text) {
  const std::optional<double> value = whole_number<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;  // from_chars takes "inf" and "nan"
}

// "64", or a float that is an integer ("1e3").
template <class Integer>
std::optional<Integer> integer(std::string_view text) {
  if (const auto value = whole_number<Integer>(text)) return value;
  constexpr double kExactIntegers = 9007199254740992;  // 2^53
  const std::optional<double> real = real_number(text);
  if (!real || std::trunc(*real) != *real || std::abs(*real) > kExactIntegers) return std::nullopt;
  return whole_number<Integer>(std::to_string(static_cast<std::int64_t>(*real)));
}

std::optional<bool> truth(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return std::nullopt;
}

std::optional<const EnumValueDescriptor*> enum_value(const FieldDescriptor& field, const std::string& text) {
  for (int i = 1; i < field.enum_type()->value_count(); ++i) {
    const EnumValueDescriptor* value = field.enum_type()->value(i);
    if (text == short_enum_name(*value) || text == value->name()) return value;
  }
  return std::nullopt;
}

// Stores `value` by the setter for a singular or a repeated field; without a value answers what was wanted.
template <class Value, class Stored>
std::string store(Message& message, const FieldDescriptor& field, const std::optional<Value>& value,
                  void (google::protobuf::Reflection::*set)(Message*, const FieldDescriptor*, Stored) const,
                  void (google::protobuf::Reflection::*add)(Message*, const FieldDescriptor*, Stored) const,
                  const std::string& wanted) {
  if (!value) return wanted;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  (reflection.*(field.is_repeated() ? add : set))(&message, &field, *value);
  return "";
}

}  // namespace

std::string set_scalar(Message& message, const FieldDescriptor& field, const std::string& text) {
  using R = google::protobuf::Reflection;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return store(message, field, real_number(text), &R::SetDouble, &R::AddDouble, "a number");
    case FieldDescriptor::CPPTYPE_INT32:
      return store(message, field, integer<std::int32_t>(text), &R::SetInt32, &R::AddInt32, "an integer");
    case FieldDescriptor::CPPTYPE_INT64:
      return store(message, field, integer<std::int64_t>(text), &R::SetInt64, &R::AddInt64, "an integer");
    case FieldDescriptor::CPPTYPE_UINT64:
      return store(message, field, integer<std::uint64_t>(text), &R::SetUInt64, &R::AddUInt64, "an integer >= 0");
    case FieldDescriptor::CPPTYPE_BOOL:
      return store(message, field, truth(text), &R::SetBool, &R::AddBool, "true or false");
    case FieldDescriptor::CPPTYPE_STRING:
      return store(message, field, std::optional(text), &R::SetString, &R::AddString, "text");
    case FieldDescriptor::CPPTYPE_ENUM:
      return store(message, field, enum_value(field, text), &R::SetEnum, &R::AddEnum,
                   short_enum_names(*field.enum_type()));
    default:
      EQUIPOISE_CHECK(false && "JobSpec has a field of a type that YAML cannot set yet");
  }
  return "";
}

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
    if (!node.IsMap()) {
      refuse_value(node, prefix.empty() ? "the job" : prefix.substr(0, prefix.size() - 1),
                   "a mapping" + mapping_advice(*message.GetDescriptor(), node));
    }
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
    refuse_key(key, prefix, message);
  }

 private:
  [[noreturn]] void refuse_key(const YAML::Node& key, const std::string& prefix, const Descriptor& message) const {
    const std::string& name = key.Scalar();
    const std::string what = "unknown key " + quoted_text(prefix + name);
    if (const auto advice = advice_for_key(name); advice && !is_known_elsewhere(root_, name)) {
      source_.refuse(key.Mark(), what + (advice->starts_with("expected") ? ", " : ": ") + *advice);
    }
    source_.refuse(key.Mark(), what + ", " + suggestion(name, prefix, message) + key_advice(name));
  }

  std::string suggestion(const std::string& key, const std::string& prefix, const Descriptor& message) const {
    const std::string nearest = nearest_key(root_, message, key);
    if (nearest.empty()) return "expected one of " + names_of_fields(message);
    const bool sibling = find_field(message, nearest) != nullptr;
    return "the nearest known one is " + quoted_text((sibling ? prefix : "") + nearest);
  }

  void list(const YAML::Node& node, const std::string& path, const FieldDescriptor& known, Message& message) const {
    if (!node.IsSequence()) refuse_value(node, path, "a list such as " + list_example(known, node));
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
    if (!node.IsScalar()) refuse_value(node, path, "one value" + single_value_advice(path));
    if (++num_values_ > kMostValues) {
      source_.refuse(node.Mark(), path + " has more values than the whole job may have, " +
                                      std::to_string(kMostValues) + "; an alias counts for all that it stands for");
    }
    const std::string wanted = set_scalar(message, known, node.Scalar());
    if (!wanted.empty()) refuse_value(node, path, wanted + value_advice(known, node.Scalar()));
  }

  [[noreturn]] void refuse_value(const YAML::Node& node, const std::string& what, const std::string& wanted) const {
    source_.refuse(node.Mark(), what + " is " + value_text(node) + ", expected " + wanted);
  }

  [[noreturn]] void refuse_twice(const YAML::Node& key, const std::string& path, int earlier_line) const {
    source_.refuse(key.Mark(), path + " is given twice, first on line " + std::to_string(earlier_line));
  }

  // More than a job file has room for, unless aliases multiply them.
  static constexpr std::size_t kMostValues = std::size_t{1} << 20;

  const YamlSource& source_;
  const Descriptor& root_;
  mutable std::size_t num_values_ = 0;
};

}  // namespace

void YamlSource::refuse(const YAML::Mark& mark, const std::string& what) const {
  if (one_line_) throw std::invalid_argument(name_ + ": " + what);
  throw std::invalid_argument(name_ + ":" + std::to_string(std::max(mark.line, 0) + 1) + ": " + what);
}

YAML::Node parse_yaml(const YamlSource& source, const std::string& text) {
  if (!is_utf8(text)) source.refuse(YAML::Mark(), "the text is not UTF-8" + encoding_advice(text));
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    // yaml-cpp takes a quote that is never closed for closed at the end; a document's end inside of it is a fault to
    // it.
    YAML::LoadAll(text + "\n...\n");
    if (documents.size() > 1) source.refuse(documents[1].Mark(), "a second document starts, expected one");
    return documents.empty() ? YAML::Node() : documents[0];
  } catch (const YAML::Exception& problem) {
    const YamlFault fault = explained(problem, text);
    source.refuse(fault.mark, fault.what);
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
