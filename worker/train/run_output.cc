#include "worker/train/run_output.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include "common/base/durable_file.h"
#include "common/config/data_files.h"
#include "common/config/job_file.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr const char* kParts[] = {"metrics.jsonl", "job.yaml", "data.json", "report.html", "final"};
constexpr const char* kPreviousFinal = "final.previous";

[[noreturn]] void refuse(const JobConfig& config, const std::string& what) {
  throw std::invalid_argument("output " + config.output.string() + " " + what);
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

fs::path resolved(const fs::path& path) {
  std::error_code error;
  const fs::path canonical = fs::weakly_canonical(path, error);
  return error ? fs::absolute(path).lexically_normal() : canonical;
}

bool is_within(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

// Nothing that the job reads may be what it replaces.
void check_input(const JobConfig& config, const char* field, const std::optional<fs::path>& input) {
  if (!input || input->empty()) return;
  for (const char* part : kParts) {
    if (!is_within(resolved(*input), resolved(config.output / part))) continue;
    refuse(config, "would replace " + std::string(field) + " " + input->string() + ": choose another folder");
  }
}

void check_writable(const JobConfig& config) {
  fs::path folder = fs::absolute(config.output);
  while (!is_there(folder) && folder.has_relative_path()) folder = folder.parent_path();
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) refuse(config, "cannot be made: " + folder.string() + " is not a folder");
  if (access(folder.c_str(), W_OK | X_OK) != 0)
    refuse(config, "cannot be written: no permission in " + folder.string());
}

}  // namespace

void check_output(const JobConfig& config) {
  check_writable(config);
  check_input(config, "model.path", config.model.path);
  check_input(config, "model.reference", config.model.reference);
  check_input(config, "model.adapter", config.model.adapter);
  check_input(config, "model.chat_template", config.model.chat_template);
  for (const DataFile& file : training_files(config.data)) check_input(config, "data.train", file.path);
  for (const DataFile& file : validation_files(config.data)) check_input(config, "data.validation", file.path);
  check_input(config, "data.test", config.data.test);
  if (config.overwrite) return;
  for (const char* part : kParts) {
    if (!is_there(config.output / part)) continue;
    refuse(config, "holds a run already (" + std::string(part) +
                       "): choose another folder, or pass --overwrite (overwrite: true)");
  }
}

void prepare_output(const JobConfig& config, const v1::JobSpec& spec, const ShardPlan& plan) {
  std::error_code error;
  fs::create_directories(config.output, error);
  if (error) refuse(config, "cannot be made: " + error.message());
  if (is_there(config.output / "final")) {
    fs::remove_all(config.output / kPreviousFinal, error);
    if (!error) fs::rename(config.output / "final", config.output / kPreviousFinal, error);
  }
  for (const char* part : {"metrics.jsonl", "job.yaml", "data.json", "report.html"}) {
    if (!error) fs::remove_all(config.output / part, error);
  }
  if (error) refuse(config, "cannot be cleared of the run before: " + error.message());
  v1::JobSpec resolved = resolve_defaults(spec);
  if (config.training.sampling == Sampling::kAutomatic) {
    resolved.mutable_training()->set_sampling(plan.stratified ? v1::SAMPLING_STRATIFIED : v1::SAMPLING_PERMUTATION);
  }
  write_durably(config.output / "job.yaml", job_spec_to_yaml(resolved));
}

void discard_previous_run(const JobConfig& config) {
  std::error_code ignored;
  fs::remove_all(config.output / kPreviousFinal, ignored);
}

}  // namespace equipoise
