// job_spec_to_yaml of job_file.h.
#include <google/protobuf/struct.pb.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/number_text.h"
#include "common/config/field_check.h"
#include "common/config/job_file.h"

namespace equipoise {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

namespace {

// YAML 1.1 readers take a number with an exponent for text unless it has a point.
std::string yaml_number(double value) {
  std::string text = number_text(value);
  const std::size_t exponent = text.find('e');
  if (exponent != std::string::npos && text.find('.') == std::string::npos) text.insert(exponent, ".0");
  return text;
}

// Plain only where no YAML reader could take it for anything but text.
void emit_text(YAML::Emitter& out, const std::string& text) {
  const auto safe = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '/' || c == '.'; };
  const bool looks_like_a_path_or_name = text.size() > 5 && std::isalpha(static_cast<unsigned char>(text[0]));
  const bool absolute_path = text.size() > 1 && text[0] == '/';
  const bool plain = (looks_like_a_path_or_name || absolute_path) && std::all_of(text.begin(), text.end(), safe);
  if (plain) {
    out << text;
  } else {
    out << YAML::DoubleQuoted << text;
  }
}

class Writer {
 public:
  explicit Writer(YAML::Emitter& out) : out_(out) {}

  void mapping(const Message& message) {
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    out_ << YAML::BeginMap;
    for (const FieldDescriptor* field : fields) {
      out_ << YAML::Key << field->name() << YAML::Value;
      value(message, *field);
    }
    out_ << YAML::EndMap;
  }

 private:
  void value(const Message& message, const FieldDescriptor& field) {
    if (field.is_map()) return map_entries(message, field);
    if (field.is_repeated()) return list(message, field);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return mapping(message.GetReflection()->GetMessage(message, &field));
    }
    scalar(message, field, -1);
  }

  void list(const Message& message, const FieldDescriptor& field) {
    if (!is_list_of_mappings(field)) out_ << YAML::Flow;
    out_ << YAML::BeginSeq;
    for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
      if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        const Message& item = message.GetReflection()->GetRepeatedMessage(message, &field, i);
        is_list_of_mappings(field) ? mapping(item) : numbers(item);
      } else {
        scalar(message, field, i);
      }
    }
    out_ << YAML::EndSeq;
  }

  static bool is_list_of_mappings(const FieldDescriptor& field) {
    return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
           field.message_type() != google::protobuf::ListValue::descriptor();
  }

  // A list in a list.
  void numbers(const Message& message) {
    out_ << YAML::Flow << YAML::BeginSeq;
    for (const auto& value : dynamic_cast<const google::protobuf::ListValue&>(message).values()) {
      out_ << yaml_number(value.number_value());
    }
    out_ << YAML::EndSeq;
  }

  // In the order of the keys: the order inside a map message is not defined.
  void map_entries(const Message& message, const FieldDescriptor& field) {
    const FieldDescriptor& key_field = *field.message_type()->map_key();
    std::vector<const Message*> entries;
    for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
      entries.push_back(&message.GetReflection()->GetRepeatedMessage(message, &field, i));
    }
    const auto key_of = [&](const Message* entry) { return entry->GetReflection()->GetString(*entry, &key_field); };
    std::sort(entries.begin(), entries.end(),
              [&](const Message* a, const Message* b) { return key_of(a) < key_of(b); });
    out_ << YAML::BeginMap;
    for (const Message* entry : entries) {
      out_ << YAML::Key << YAML::DoubleQuoted << key_of(entry) << YAML::Value;
      scalar(*entry, *field.message_type()->map_value(), -1);
    }
    out_ << YAML::EndMap;
  }

  // `index` of a repeated field, -1 for a singular one.
  void scalar(const Message& message, const FieldDescriptor& field, int index) {
    const google::protobuf::Reflection& reflection = *message.GetReflection();
    const bool one = index < 0;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_DOUBLE:
        out_ << yaml_number(one ? reflection.GetDouble(message, &field)
                                : reflection.GetRepeatedDouble(message, &field, index));
        return;
      case FieldDescriptor::CPPTYPE_INT32:
        out_ << reflection.GetInt32(message, &field);
        return;
      case FieldDescriptor::CPPTYPE_INT64:
        out_ << (one ? reflection.GetInt64(message, &field) : reflection.GetRepeatedInt64(message, &field, index));
        return;
      case FieldDescriptor::CPPTYPE_UINT64:
        out_ << reflection.GetUInt64(message, &field);
        return;
      case FieldDescriptor::CPPTYPE_BOOL:
        out_ << reflection.GetBool(message, &field);
        return;
      case FieldDescriptor::CPPTYPE_STRING:
        emit_text(out_,
                  one ? reflection.GetString(message, &field) : reflection.GetRepeatedString(message, &field, index));
        return;
      case FieldDescriptor::CPPTYPE_ENUM:
        out_ << short_enum_name(
            *(one ? reflection.GetEnum(message, &field) : reflection.GetRepeatedEnum(message, &field, index)));
        return;
      default:
        EQUIPOISE_CHECK(false && "JobSpec has a field of a type that YAML cannot show yet");
    }
  }

  YAML::Emitter& out_;
};

}  // namespace

std::string job_spec_to_yaml(const v1::JobSpec& spec) {
  YAML::Emitter out;
  Writer(out).mapping(spec);
  EQUIPOISE_CHECK(out.good());
  return std::string(out.c_str()) + "\n";
}

}  // namespace equipoise
