#include "common/config/job_file.h"

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "common/config/data_config.h"
#include "common/config/field_check.h"
#include "common/config/job_config.h"
#include "common/config/model_config.h"
#include "common/config/yaml_message.h"

namespace equipoise {
namespace {

std::string read_text(const std::filesystem::path& path) {
  constexpr std::uintmax_t kLargestFile = 1 << 20;  // settings, not data
  std::error_code problem;
  const auto status = std::filesystem::status(path, problem);
  if (!std::filesystem::exists(status)) throw std::invalid_argument(path.string() + ": there is no such file");
  if (!std::filesystem::is_regular_file(status)) throw std::invalid_argument(path.string() + ": is not a file");
  const std::uintmax_t size = std::filesystem::file_size(path, problem);
  if (problem) throw std::invalid_argument(path.string() + ": cannot be read: " + problem.message());
  if (size > kLargestFile) {
    throw std::invalid_argument(path.string() + ": has " + std::to_string(size) + " bytes, expected at most " +
                                std::to_string(kLargestFile));
  }
  std::string text(size, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(text.data(), static_cast<std::streamsize>(size))) {
    throw std::invalid_argument(path.string() + ": cannot be read");
  }
  return text;
}

void apply_override(const std::string& assignment, v1::JobSpec& spec) {
  const YamlSource source = YamlSource::text("--set " + assignment);
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    source.refuse(YAML::Mark(), "expected KEY=VALUE such as loss.beta=0.2");
  }
  set_yaml_field(source, std::string_view(assignment).substr(0, equals),
                 parse_yaml(source, assignment.substr(equals + 1)), spec);
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

void merge_job_text(const std::string& name, const std::string& text, v1::JobSpec& spec) {
  const YamlSource source = YamlSource::file(name);
  const YAML::Node document = parse_yaml(source, text);
  if (document.IsNull()) source.refuse(document.Mark(), "the file is empty, expected the settings of a job");
  merge_yaml(source, document, spec);
}

v1::JobSpec read_job_file(const std::filesystem::path& path, std::span<const std::string> overrides) {
  v1::JobSpec spec;
  merge_job_text(path.string(), read_text(path), spec);
  for (const std::string& assignment : overrides) apply_override(assignment, spec);
  if (spec.name().empty()) spec.set_name(name_from(path));
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  if (spec.has_model()) make_paths_absolute(folder, *spec.mutable_model());
  if (spec.has_data()) make_paths_absolute(folder, *spec.mutable_data());
  spec.set_output(absolute_path(folder, spec.output()));
  return spec;
}

}  // namespace equipoise
