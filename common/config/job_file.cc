#include "common/config/job_file.h"

#include <fstream>
#include <stdexcept>

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

std::string absolute_path(const std::filesystem::path& folder, const std::string& path) {
  return path.empty() ? path : (folder / path).lexically_normal().string();
}

void make_paths_absolute(const std::filesystem::path& folder, v1::JobSpec& spec) {
  if (spec.has_model()) {
    v1::ModelSpec& model = *spec.mutable_model();
    model.set_path(absolute_path(folder, model.path()));
    if (model.has_reference()) model.set_reference(absolute_path(folder, model.reference()));
    if (model.has_adapter()) model.set_adapter(absolute_path(folder, model.adapter()));
    if (model.has_chat_template()) model.set_chat_template(absolute_path(folder, model.chat_template()));
  }
  if (spec.has_data()) {
    v1::DataSpec& data = *spec.mutable_data();
    data.set_train(absolute_path(folder, data.train()));
    if (data.has_validation()) data.set_validation(absolute_path(folder, data.validation()));
    if (data.has_test()) data.set_test(absolute_path(folder, data.test()));
    for (v1::DataFileSpec& file : *data.mutable_train_files()) file.set_path(absolute_path(folder, file.path()));
    for (v1::DataFileSpec& file : *data.mutable_validation_files()) file.set_path(absolute_path(folder, file.path()));
  }
  spec.set_output(absolute_path(folder, spec.output()));
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
  make_paths_absolute(std::filesystem::absolute(path).parent_path(), spec);
  return spec;
}

}  // namespace equipoise
