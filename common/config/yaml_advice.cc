#include "common/config/yaml_advice.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "common/config/field_check.h"
#include "common/config/foreign_names.h"

namespace equipoise {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, lower(text)) != words.end();
}

// Short and without what YAML or a terminal would take for something else.
bool is_plain(std::string_view text) {
  constexpr std::size_t kLongest = 40;
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '/';
  };
  return !text.empty() && text.size() <= kLongest && std::ranges::all_of(text, plain);
}

std::string line_at(const std::string& text, int line) {
  std::size_t begin = 0;
  for (int i = 0; i < line && begin < text.size(); ++i) begin = std::min(text.find('\n', begin), text.size() - 1) + 1;
  return text.substr(begin, text.find('\n', begin) - begin);
}

// The first line whose indentation has a tab.
std::optional<int> line_with_tab(const std::string& text) {
  bool in_indentation = true;
  int line = 0;
  for (const char c : text) {
    if (c == '\t' && in_indentation) return line;
    if (c == '\n') ++line;
    in_indentation = c == '\n' || (in_indentation && c == ' ');
  }
  return std::nullopt;
}

struct Slip {
  std::string_view message;  // of yaml-cpp
  std::string_view advice;
};
constexpr std::array kSlips = {
    Slip{"unknown token", "a value that begins with %, @ or ` belongs in quotes"},
    Slip{"the referenced anchor is not defined", "a value that begins with * belongs in quotes"},
    Slip{"anchor not found after &", "a value that begins with & belongs in quotes"},
    Slip{"alias not found after *", "a value that begins with * belongs in quotes"},
    Slip{"unknown escape character: ", "in double quotes \\ begins an escape, in single quotes it does not"},
    Slip{"end of sequence flow not found", "a [ is not closed"},
    Slip{"end of map flow not found", "a { is not closed"},
    Slip{"illegal flow end", "brackets do not match"},
    Slip{"illegal document indicator in scalar", "a quote is not closed"},
    Slip{"illegal block entry", "a list item \"- x\" begins a line of its own"},
    Slip{"illegal map key", "a value that begins with ? belongs in quotes"},
    Slip{"end of map not found",
         "keys of one section begin in the same column, and nothing follows a closed quote or }"},
    Slip{"illegal map value", "keys of one section begin in the same column"},
};

std::string slip_of(const YAML::Exception& problem, const std::string& text) {
  const std::string line = line_at(text, std::max(problem.mark.line, 0));
  const std::size_t colon = line.find(": ");
  const bool has_two_colons = colon != std::string::npos && line.find(':', colon + 1) != std::string::npos;
  if (problem.msg == "illegal map value" && has_two_colons) return "a value with a colon belongs in quotes";
  for (const Slip& slip : kSlips) {
    if (std::string_view(problem.msg).starts_with(slip.message)) return std::string(slip.advice);
  }
  return "";
}

// Of a field whose name is a section's main one.
std::string_view main_field(const Descriptor& section) {
  for (const std::string_view name : {"type", "mode", "path", "train", "every_steps", "workers", "metric", "r"}) {
    if (section.FindFieldByName(std::string(name)) != nullptr) return name;
  }
  return section.name() == "TrainingSpec" ? "epochs" : "";
}

std::string truth_advice(const std::string& value) {
  if (is_one_of(value, {"yes", "on", "y", "1", "t"})) return "; write true";
  if (is_one_of(value, {"no", "off", "n", "0", "f"})) return "; write false";
  return "";
}

std::string number_advice(const std::string& value) {
  const bool begins_as_number = !value.empty() && std::isdigit(static_cast<unsigned char>(value[0])) != 0;
  if (!begins_as_number || value.find_first_not_of("0123456789.eE+-") == std::string::npos) return "";
  if (value.ends_with('%')) return "; a share is written as 0.1, not 10%";
  const bool has_separators = value.find_first_not_of("0123456789._, ") == std::string::npos;
  return has_separators ? "; without separators" : "; digits alone, such as 0.1 or 1e-5";
}

// The value that was found, in our words if the field is an enum; its first value where it is none of them.
std::string value_of_main(const FieldDescriptor& field, const std::string& found) {
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM) return found;
  const auto& type = *field.enum_type();
  for (int i = 1; i < type.value_count(); ++i) {
    if (short_enum_name(*type.value(i)) == found) return found;
  }
  const auto ours = advice_for_value(type, found);
  return ours && ours->find(' ') == std::string::npos ? *ours : short_enum_name(*type.value(1));
}

}  // namespace

YamlFault explained(const YAML::Exception& problem, const std::string& text) {
  if (const auto tab = line_with_tab(text)) {
    YAML::Mark mark = problem.mark;
    mark.line = *tab;
    return {.mark = mark, .what = "not YAML: the line is indented with a tab, expected spaces"};
  }
  const std::string slip = slip_of(problem, text);
  return {.mark = problem.mark, .what = "not YAML: " + problem.msg + (slip.empty() ? "" : "; " + slip)};
}

std::string encoding_advice(std::string_view text) {
  const bool is_utf16 = text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF");
  return is_utf16 ? " but UTF-16; save it as UTF-8" : "";
}

std::string value_advice(const FieldDescriptor& field, const std::string& value) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    if (const auto advice = advice_for_value(*field.enum_type(), value)) return "; for " + value + ": " + *advice;
  }
  if (is_one_of(value, {"none", "null", "nil", "default", "auto", "-"})) return "; leave the key out for its default";
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return truth_advice(value);
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT64:
      return number_advice(value);
    default:
      return "";
  }
}

std::string mapping_advice(const Descriptor& section, const YAML::Node& found) {
  if (section.name() == "JobSpec") return found.IsScalar() ? " of lines \"KEY: VALUE\"" : "";
  const std::string_view main = main_field(section);
  if (found.IsScalar() && found.Scalar().find(':') != std::string::npos) return "; a space belongs after the colon";
  if (section.name() == "LoraSpec" && found.IsScalar()) return "; {} takes the defaults";
  if (main.empty() || !found.IsScalar() || !is_plain(found.Scalar())) return "";
  const FieldDescriptor& field = *section.FindFieldByName(std::string(main));
  return " such as {" + std::string(main) + ": " + value_of_main(field, found.Scalar()) + "}";
}

std::string single_value_advice(std::string_view path) {
  if (path != "data.train" && path != "data.validation") return "";
  return "; several files are " + std::string(path) + "_files: [{path: FILE}, {path: FILE}]";
}

std::string key_advice(std::string_view key) {
  return key.find(':') == key.npos ? "" : "; a space belongs after the colon";
}

std::string list_example(const FieldDescriptor& field, const YAML::Node& found) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) return "[{...}, {...}]";
  const bool is_text = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
  return is_text && found.IsScalar() && is_plain(found.Scalar()) ? "[" + found.Scalar() + "]" : "[a, b]";
}

}  // namespace equipoise
