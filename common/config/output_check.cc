#include "common/config/output_check.h"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include "common/base/path_check.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSystemFolders{"/proc", "/sys", "/dev"};
constexpr const char* kStateDatabase = "coordinator.sqlite3";

[[noreturn]] void refuse(const JobConfig& config, const std::string& what) {
  throw std::invalid_argument("output: " + config.output.string() + " " + what);
}

// The system's word on a place that can never be made, such as a name of 300 letters. What is missing, no folder or
// without permission is told by check_writable().
void check_name(const JobConfig& config) {
  std::error_code error;
  static_cast<void>(fs::symlink_status(config.output / "metrics.jsonl", error));  // the longest name in it
  for (const std::errc told_later :
       {std::errc::no_such_file_or_directory, std::errc::not_a_directory, std::errc::permission_denied}) {
    if (error == told_later) return;
  }
  if (error) refuse(config, "cannot be made: " + error.message());
}

// Nothing that the job reads may be what it replaces.
void check_input(const JobConfig& config, const char* field, const fs::path& input) {
  for (const char* part : kRunParts) {
    if (!is_within(resolved_path(input), resolved_path(config.output / part))) continue;
    refuse(config, "would replace " + std::string(field) + " " + input.string() + ": choose another folder");
  }
}

// A run's files beside those of a model would be taken for the model's, or saved over them.
void check_model(const JobConfig& config, const char* field, const std::optional<fs::path>& folder) {
  if (!folder || folder->empty()) return;
  check_input(config, field, *folder);
  if (!is_within(resolved_path(config.output), resolved_path(*folder))) return;
  refuse(config, "is in the folder of " + std::string(field) + " " + folder->string() + ": choose another folder");
}

// A folder of data is all of its files, so a run's would be read as data.
void check_data(const JobConfig& config, const char* field, const std::optional<fs::path>& data) {
  if (!data || data->empty()) return;
  check_input(config, field, *data);
  const fs::path output = resolved_path(config.output), input = resolved_path(*data);
  std::error_code ignored;
  const bool is_folder = fs::is_directory(input, ignored);
  if (is_folder ? !is_within(output, input) : output != input.parent_path()) return;
  refuse(config, "is in the folder of " + std::string(field) + " " + data->string() + ": choose another folder");
}

void check_system(const JobConfig& config) {
  const fs::path output = resolved_path(config.output);
  if (!output.has_relative_path()) refuse(config, "is the root of the file system: choose a folder of its own");
  for (const char* folder : kSystemFolders) {
    if (is_within(output, folder)) refuse(config, "is in " + std::string(folder) + ", which holds no files of users");
  }
  for (fs::path outer = output; outer.has_relative_path(); outer = outer.parent_path()) {
    if (!entry_exists(outer / kStateDatabase)) continue;
    refuse(config, "is in " + outer.string() + ", the state folder of a coordinator: choose another folder");
  }
}

void check_writable(const JobConfig& config) {
  fs::path folder = fs::absolute(config.output);
  while (!entry_exists(folder) && folder.has_relative_path()) folder = folder.parent_path();
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) refuse(config, "cannot be made: " + folder.string() + " is not a folder");
  if (access(folder.c_str(), W_OK | X_OK) != 0)
    refuse(config, "cannot be written: no permission in " + folder.string());
}

// A run that did not come to its end, such as one that failed before its first checkpoint.
bool is_unfinished_run(const fs::path& output) {
  return entry_exists(output / kRunOwner) && !entry_exists(output / "final");
}

// Whether the folder that the job writes into holds the checkpoint that it goes on from. Without one `latest` begins an
// unfinished run again, so that the same command can be repeated until the run is done.
bool goes_on_in_output(const JobConfig& config) {
  const auto& checkpoint = config.training.resume_from_checkpoint;
  if (!checkpoint) return false;
  const fs::path folder = resolved_path(config.output / kCheckpoints);
  std::error_code ignored;
  if (*checkpoint == kLatestCheckpoint) {
    const bool has_checkpoint = fs::is_directory(folder, ignored) && !fs::is_empty(folder, ignored);
    return has_checkpoint || is_unfinished_run(config.output);
  }
  return is_within(resolved_path(*checkpoint), folder);
}

}  // namespace

void check_output_place(const JobConfig& config) {
  check_name(config);
  check_system(config);
  check_writable(config);
  if (!config.log_linear) check_model(config, "model.path", config.model.path);
  check_model(config, "model.reference", config.model.reference);
  check_model(config, "model.adapter", config.model.adapter);
  if (config.model.chat_template) check_input(config, "model.chat_template", *config.model.chat_template);
  for (const DataFile& file : training_files(config.data)) check_data(config, "data.train", file.path);
  for (const DataFile& file : validation_files(config.data)) check_data(config, "data.validation", file.path);
  check_data(config, "data.test", config.data.test);
}

void check_output_free(const JobConfig& config) {
  if (config.overwrite || goes_on_in_output(config)) return;
  for (const char* part : kRunParts) {
    if (!entry_exists(config.output / part)) continue;
    refuse(config,
           "holds a run already (" + std::string(part) +
               "): --overwrite (overwrite: true) replaces it, --output names another folder" +
               (entry_exists(config.output / kCheckpoints) ? ", --resume goes on from its newest checkpoint" : ""));
  }
}

}  // namespace equipoise
