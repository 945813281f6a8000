#include "common/config/job_file.h"

#include <google/protobuf/struct.pb.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/base/bounded_file.h"
#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/config/data_config.h"
#include "common/config/field_check.h"
#include "common/config/job_config.h"
#include "common/config/model_config.h"
#include "common/config/yaml_message.h"

namespace equipoise {
namespace {

std::string read_text(const std::filesystem::path& path) {
  return read_bounded_file(path, 1 << 20, "a job file");  // settings, not data
}

// What a job is called that does not say: its file's name without the ending, as far as that can be a name
// ("GR_DPO.yaml" is gr-dpo); empty where nothing of it can.
std::string name_from(const std::filesystem::path& file) {
  std::string name;
  for (const char c : file.stem().string()) {
    const bool is_upper = c >= 'A' && c <= 'Z';
    const bool is_letter = is_upper || (c >= 'a' && c <= 'z');
    if (name.empty() && !is_letter) continue;
    const bool is_kept = is_letter || (c >= '0' && c <= '9');
    name += is_upper ? static_cast<char>(c - 'A' + 'a') : is_kept ? c : '-';
  }
  name.resize(std::min(name.size(), kLongestJobName));
  while (name.ends_with('-')) name.pop_back();
  return name;
}

}  // namespace

void merge_override(const std::string& assignment, v1::JobSpec& spec) {
  const YamlSource source = YamlSource::text("--set " + assignment);
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    source.refuse(YAML::Mark(), "expected KEY=VALUE such as loss.beta=0.2");
  }
  set_yaml_field(source, std::string_view(assignment).substr(0, equals),
                 parse_yaml(source, assignment.substr(equals + 1)), spec);
}

void merge_job_text(const std::string& name, const std::string& text, v1::JobSpec& spec) {
  const YamlSource source = YamlSource::file(name);
  const YAML::Node document = parse_yaml(source, text);
  if (document.IsNull()) source.refuse(document.Mark(), "the file is empty, expected the settings of a job");
  merge_yaml(source, document, spec);
}

namespace {

// "train_files" and "trainFiles" are one key.
std::string plain_key(std::string_view key) {
  std::string letters;
  for (const char c : key) {
    if (c != '_') letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return letters;
}

// "data.train_files[1].weight": the names and numbers one after the other.
std::vector<std::string> path_parts(std::string_view path) {
  std::vector<std::string> parts(1);
  for (const char c : path) {
    if (c == '.' || c == '[') {
      parts.emplace_back();
    } else if (c != ']') {
      parts.back() += c;
    }
  }
  return parts;
}

// Null where there is none.
YAML::Node child_of(const YAML::Node& node, const std::string& part, YAML::Mark& mark) {
  if (node.IsSequence()) {
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    if (error != std::errc() || end != part.data() + part.size() || index >= node.size()) return {};
    mark = node[index].Mark();
    return node[index];
  }
  if (!node.IsMap()) return {};
  for (const auto& entry : node) {
    if (!entry.first.IsScalar() || plain_key(entry.first.Scalar()) != plain_key(part)) continue;
    mark = entry.first.Mark();
    return entry.second;
  }
  return {};
}

}  // namespace

std::string place_of_setting(const std::filesystem::path& path, std::span<const std::string> overrides,
                             std::string_view fault) {
  std::string_view setting = fault.substr(0, fault.find(' '));
  if (setting.ends_with(':')) setting.remove_suffix(1);
  const std::vector<std::string> parts = path_parts(setting);
  for (const std::string& assignment : overrides) {
    const std::vector<std::string> set = path_parts(std::string_view(assignment).substr(0, assignment.find('=')));
    const std::size_t common = std::min(set.size(), parts.size());
    const auto is_same = [](const std::string& a, const std::string& b) { return plain_key(a) == plain_key(b); };
    if (std::equal(set.begin(), set.begin() + static_cast<std::ptrdiff_t>(common), parts.begin(), is_same)) return "";
  }
  try {
    YAML::Node node = YAML::Load(read_text(path));
    YAML::Mark mark;
    for (const std::string& part : parts) {
      const YAML::Node child = child_of(node, part, mark);
      if (!child.IsDefined() || child.IsNull()) return "";
      node.reset(child);
    }
    return path.string() + ":" + std::to_string(mark.line + 1) + ": ";
  } catch (const std::exception&) {
    return "";
  }
}

v1::JobSpec read_job_file(const std::filesystem::path& path, std::span<const std::string> overrides) {
  v1::JobSpec spec;
  merge_job_text(path.string(), read_text(path), spec);
  for (const std::string& assignment : overrides) merge_override(assignment, spec);
  if (spec.name().empty()) spec.set_name(name_from(path));
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  if (spec.has_model()) make_paths_absolute(folder, *spec.mutable_model());
  if (spec.has_data()) make_paths_absolute(folder, *spec.mutable_data());
  if (spec.has_training()) make_paths_absolute(folder, *spec.mutable_training());
  spec.set_output(absolute_path(folder, spec.output()));
  return spec;
}

// job_spec_to_yaml of job_file.h.

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
