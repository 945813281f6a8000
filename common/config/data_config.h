// Section `data` of a job: its settings, their defaults, ranges and checks.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace equipoise {

namespace v1 {
class DataSpec;
}  // namespace v1
struct JobConfig;

enum class Truncation { kKeepStart, kKeepEnd, kDrop };
enum class Tokenization { kTrl, kAuthors };

// One of several data files.
struct DataFile {
  std::filesystem::path path;
  std::optional<double> weight = std::nullopt;      // of training files: all have one or none
  std::optional<std::string> group = std::nullopt;  // of every pair
  std::vector<std::string> group_columns = {};      // crossed; empty: data.group_columns
  std::string name = {};                            // of validation files: theirs alone
};

struct DataConfig {
  std::filesystem::path train;                      // empty with train_files
  std::optional<std::filesystem::path> validation;  // none with validation_files
  std::vector<DataFile> train_files;                // as given; training_files() has those of either setting
  std::vector<DataFile> validation_files;
  std::vector<std::string> group_columns;     // of files without their own; empty: `group`
  std::optional<std::filesystem::path> test;  // log-linear policies
  int max_length = 1024;
  std::optional<int> max_prompt_length;
  Truncation truncation = Truncation::kKeepStart;
  Tokenization tokenization = Tokenization::kTrl;
  bool token_cache = true;
  bool shuffle = true;
  std::map<std::string, double> group_counts;
  std::string group_separator;  // empty: group names have no levels
};

// data.train or data.train_files, and data.validation (without a name of its own) or data.validation_files. Each has
// either a group or group_columns: its own, else data.group_columns, else `group`.
std::vector<DataFile> training_files(const DataConfig& config);
std::vector<DataFile> validation_files(const DataConfig& config);

// Whether the training files have weights: worker/data/file_mixture.h.
bool is_mixture(const DataConfig& config);

// Throws std::invalid_argument as make_job_config.
DataConfig data_config(const v1::DataSpec& spec);

// Throws std::invalid_argument where several files, weights or group columns do not go with other settings.
void check_data_combinations(const JobConfig& config);

// Back to the message, every default filled in.
void resolve_data(const JobConfig& config, v1::DataSpec& spec);

// Of a job file in `folder`.
void make_paths_absolute(const std::filesystem::path& folder, v1::DataSpec& spec);

}  // namespace equipoise
