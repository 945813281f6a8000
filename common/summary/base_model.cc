#include "common/summary/base_model.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "common/base/bounded_file.h"
#include "common/config/job_file.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLargestReadme = std::uintmax_t{1} << 20;
constexpr std::size_t kLongestHubName = 96;  // of each part, as the hub has it

bool is_hub_part(std::string_view part) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  return !part.empty() && part.size() <= kLongestHubName && part.front() != '.' && part.front() != '-' &&
         part.back() != '.' && part.back() != '-' && std::ranges::all_of(part, is_letter);
}

// ".../models--google--gemma-2b/snapshots/HASH".
std::optional<std::string> hub_name_of_cache(const fs::path& folder) {
  constexpr std::string_view kModels = "models--";
  std::string name;
  for (const fs::path& part : folder) {
    if (part.string().starts_with(kModels)) name = part.string().substr(kModels.size());
  }
  const std::size_t between = name.find("--");
  if (between == std::string::npos) return std::nullopt;
  name.replace(between, 2, "/");
  return is_hub_name(name) ? std::optional(name) : std::nullopt;
}

std::optional<std::string> hub_name_of_config(const fs::path& folder) {
  try {
    const auto config = nlohmann::json::parse(
        read_bounded_file(folder / "config.json", kLargestReadme, "a model's configuration"), nullptr, false);
    if (!config.is_object() || !config.contains("_name_or_path") || !config["_name_or_path"].is_string()) return {};
    const std::string name = config["_name_or_path"];
    std::error_code ignored;
    // A folder that once was there is no name.
    return is_hub_name(name) && !fs::exists(name, ignored) ? std::optional(name) : std::nullopt;
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
}

std::optional<std::string> text_at(const YAML::Node& block, const char* key) {
  const YAML::Node node = block[key];
  if (!node) return std::nullopt;
  if (node.IsSequence() && node.size() == 1 && node[0].IsScalar()) return node[0].Scalar();
  return node.IsScalar() ? std::optional(node.Scalar()) : std::nullopt;
}

void take_readme(const fs::path& folder, BaseModel& base) {
  std::string text;
  try {
    text = read_bounded_file(folder / "README.md", kLargestReadme, "a model card");
  } catch (const std::invalid_argument&) {
    return;
  }
  const std::size_t end = text.find("\n---", 3);
  if (!text.starts_with("---\n") || end == std::string::npos) return;
  try {
    const YAML::Node block = YAML::Load(text.substr(4, end - 3));
    if (!block.IsMap()) return;
    const auto model = text_at(block, "base_model");
    if (!base.hub_name && model && is_hub_name(*model)) base.hub_name = model;
    if (const auto license = text_at(block, "license"); license && is_hub_part(*license)) base.license = license;
    if (base.license) base.license_name = text_at(block, "license_name");
    const auto link = text_at(block, "license_link");
    if (base.license && link && link->starts_with("https://")) base.license_link = link;
  } catch (const YAML::Exception&) {
    return;
  }
}

void keep_last_parts(google::protobuf::Message& message) {
  using google::protobuf::FieldDescriptor;
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  const auto last_part = [](const std::string& text) {
    return text.size() > 1 && text.front() == '/' ? fs::path(text).filename().string() : text;
  };
  for (const FieldDescriptor* field : fields) {
    if (field->is_map()) continue;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        keep_last_parts(*(field->is_repeated() ? reflection.MutableRepeatedMessage(&message, field, i)
                                               : reflection.MutableMessage(&message, field)));
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && field->is_repeated()) {
        reflection.SetRepeatedString(&message, field, i, last_part(reflection.GetRepeatedString(message, field, i)));
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
        reflection.SetString(&message, field, last_part(reflection.GetString(message, field)));
      }
    }
  }
}

}  // namespace

bool is_hub_name(const std::string& text) {
  const std::size_t slash = text.find('/');
  return slash != std::string::npos && is_hub_part(std::string_view(text).substr(0, slash)) &&
         is_hub_part(std::string_view(text).substr(slash + 1));
}

BaseModel base_model_of(const fs::path& folder) {
  BaseModel base;
  base.hub_name = hub_name_of_cache(folder);
  if (!base.hub_name) base.hub_name = hub_name_of_config(folder);
  take_readme(folder, base);
  const fs::path whole = folder.lexically_normal();
  const fs::path plain = whole.filename().empty() ? whole.parent_path() : whole;
  base.name = base.hub_name ? *base.hub_name : plain.filename().string();
  // Every run has one.
  if (base.name == "final") base.name = plain.parent_path().filename().string() + "/final";
  return base;
}

std::string shareable_job(const v1::JobSpec& job, const BaseModel& base) {
  v1::JobSpec shared = job;
  shared.clear_output();
  shared.clear_overwrite();
  shared.clear_launch();
  shared.mutable_training()->clear_resume_from_checkpoint();
  keep_last_parts(shared);
  if (base.hub_name && shared.has_model()) shared.mutable_model()->set_path(*base.hub_name);
  return job_spec_to_yaml(shared);
}

}  // namespace equipoise
