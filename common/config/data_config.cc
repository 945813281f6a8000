#include "common/config/data_config.h"

#include <algorithm>
#include <map>
#include <string>

#include "common/base/message_text.h"
#include "common/config/field_check.h"
#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

static_assert(same_enums<v1::Truncation, Truncation>(v1::Truncation_MAX,
                                                     {{v1::TRUNCATION_KEEP_START, Truncation::kKeepStart},
                                                      {v1::TRUNCATION_KEEP_END, Truncation::kKeepEnd},
                                                      {v1::TRUNCATION_DROP, Truncation::kDrop}}));
static_assert(same_enums<v1::Tokenization, Tokenization>(v1::Tokenization_MAX,
                                                         {{v1::TOKENIZATION_TRL, Tokenization::kTrl},
                                                          {v1::TOKENIZATION_AUTHORS, Tokenization::kAuthors}}));

namespace {

using DataFileSpecs = google::protobuf::RepeatedPtrField<v1::DataFileSpec>;
using Columns = google::protobuf::RepeatedPtrField<std::string>;

std::string checked_text(const std::string& field, const std::string& text, const std::string& wanted) {
  constexpr std::size_t kLongest = 256;
  if (text.empty() || text.size() > kLongest || has_control(text)) refuse_field(field, quoted_text(text), wanted);
  return text;
}

std::vector<std::string> checked_columns(const std::string& field, const Columns& columns) {
  constexpr int kMost = 16;
  if (columns.size() > kMost) {
    refuse_field(field, "a list of " + std::to_string(columns.size()), "at most " + std::to_string(kMost) + " fields");
  }
  std::vector<std::string> checked;
  for (const std::string& column : columns) {
    const std::string wanted = "a field of the data of 1 to 256 bytes";
    checked.push_back(checked_text(field, column, wanted));
    if (std::count(columns.begin(), columns.end(), column) > 1) {
      refuse_combination(field + " names " + quoted_text(column) + " twice; remove one of them");
    }
  }
  return checked;
}

DataFile data_file(const std::string& field, const v1::DataFileSpec& spec) {
  DataFile file{.path = checked_path(field + ".path", spec.path())};
  if (spec.has_group()) {
    file.group = checked_text(field + ".group", spec.group(), "the name of a group, 1 to 256 bytes");
  }
  file.group_columns = checked_columns(field + ".group_columns", spec.group_columns());
  if (file.group && !file.group_columns.empty()) {
    refuse_combination(field + " has both group and group_columns; remove one of them");
  }
  return file;
}

std::vector<DataFile> train_files(const DataFileSpecs& specs) {
  std::vector<DataFile> files;
  const bool has_weights = specs.size() > 0 && specs[0].has_weight();
  for (int i = 0; i < specs.size(); ++i) {
    const std::string field = "data.train_files[" + std::to_string(i) + "]";
    DataFile& file = files.emplace_back(data_file(field, specs[i]));
    if (specs[i].has_name()) refuse_combination(field + ".name has no use; remove it: validation files have names");
    if (specs[i].has_weight() != has_weights) {
      refuse_combination(field + (has_weights ? " has no weight" : " has a weight") +
                         ", unlike the files before it, expected one on every file or on none");
    }
    if (has_weights) file.weight = checked_real(field + ".weight", specs[i].weight(), kPositive);
  }
  return files;
}

std::string checked_name(const std::string& field, const v1::DataFileSpec& spec) {
  if (spec.has_name()) {
    return checked_text(field + ".name", spec.name(), "1 to 256 bytes without control characters");
  }
  std::filesystem::path path = std::filesystem::path(spec.path()).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // a folder, with a slash at the end
  const std::string stem = path.stem().string();
  if (!stem.empty() && !has_control(stem)) return stem;
  refuse_combination(field + ".name is missing, expected what metrics call the file " + quoted_text(spec.path()));
}

std::vector<DataFile> named_files(const DataFileSpecs& specs) {
  std::vector<DataFile> files;
  std::map<std::string, int> position_of;
  for (int i = 0; i < specs.size(); ++i) {
    const std::string field = "data.validation_files[" + std::to_string(i) + "]";
    DataFile& file = files.emplace_back(data_file(field, specs[i]));
    if (specs[i].has_weight()) refuse_combination(field + ".weight has no use; remove it: training files have weights");
    file.name = checked_name(field, specs[i]);
    const auto [earlier, is_new] = position_of.emplace(file.name, i);
    if (is_new) continue;
    refuse_field(field + ".name", quoted_text(file.name),
                 "another one than that of data.validation_files[" + std::to_string(earlier->second) + "]");
  }
  return files;
}

void settle_group(DataFile& file, const std::vector<std::string>& group_columns) {
  if (file.group || !file.group_columns.empty()) return;
  file.group_columns = group_columns;
  if (file.group_columns.empty()) file.group_columns = {"group"};
}

std::vector<DataFile> settled(std::vector<DataFile> files, const std::vector<std::string>& group_columns) {
  for (DataFile& file : files) settle_group(file, group_columns);
  return files;
}

void set_data_files(DataConfig& config, const v1::DataSpec& spec) {
  if (spec.train_files().empty()) {
    config.train = checked_path("data.train", spec.train());
  } else if (!spec.train().empty()) {
    refuse_combination("data has both train and train_files; remove one of them");
  }
  if (spec.has_validation()) config.validation = checked_path("data.validation", spec.validation());
  if (spec.has_validation() && !spec.validation_files().empty()) {
    refuse_combination("data has both validation and validation_files; remove one of them");
  }
  config.train_files = train_files(spec.train_files());
  config.validation_files = named_files(spec.validation_files());
  config.group_columns = checked_columns("data.group_columns", spec.group_columns());
}

// What is divided by them, and what they are divided by, is a number then.
constexpr RealRange kGroupCounts{.lowest = 1e-100, .highest = 1e100, .at_highest = Bound::kIncluded};

// The limits of the authors' code, whose prompts may fill half of the room.
constexpr int kAuthorsMaxLength = 512;

void set_lengths(DataConfig& config, const v1::DataSpec& spec) {
  const bool authors = config.tokenization == Tokenization::kAuthors;
  if (authors) config.max_length = kAuthorsMaxLength;
  if (spec.has_max_length()) {
    config.max_length = static_cast<int>(checked_integer("data.max_length", spec.max_length(), {2, 1 << 20}));
  }
  if (authors) config.max_prompt_length = config.max_length / 2;
  if (!spec.has_max_prompt_length()) return;
  config.max_prompt_length =
      static_cast<int>(checked_integer("data.max_prompt_length", spec.max_prompt_length(), {1, config.max_length - 1}));
}

std::string checked_separator(const std::string& separator) {
  constexpr std::size_t kLongest = 16;
  if (separator.empty() || separator.size() > kLongest || has_control(separator)) {
    refuse_field("data.group_separator", quoted_text(separator), "1 to 16 bytes without control characters, such as /");
  }
  return separator;
}

}  // namespace

DataConfig data_config(const v1::DataSpec& spec) {
  DataConfig config;
  set_data_files(config, spec);
  if (spec.has_test()) config.test = checked_path("data.test", spec.test());
  set_enum(config.truncation, "data.truncation", spec.truncation(), v1::Truncation_descriptor());
  set_enum(config.tokenization, "data.tokenization", spec.tokenization(), v1::Tokenization_descriptor());
  set_lengths(config, spec);
  if (spec.has_token_cache()) config.token_cache = spec.token_cache();
  if (spec.has_shuffle()) config.shuffle = spec.shuffle();
  config.group_counts = checked_group_numbers("data.group_counts", spec.group_counts(), kGroupCounts);
  if (spec.has_group_separator()) config.group_separator = checked_separator(spec.group_separator());
  return config;
}

void check_data_combinations(const JobConfig& config) {
  if (config.log_linear) {
    const std::string no_use = " has no use with policy.log_linear; remove it";
    if (!config.data.train_files.empty()) refuse_combination("data.train_files" + no_use + " and name data.train");
    if (!config.data.validation_files.empty()) {
      refuse_combination("data.validation_files" + no_use + " or name data.validation");
    }
    if (!config.data.group_columns.empty()) refuse_combination("data.group_columns" + no_use);
  }
  if (!is_mixture(config.data)) return;
  if (config.training.sampling != Sampling::kPermutation) {
    refuse_combination(
        "data.train_files have weights with training.sampling stratified, expected one of them; remove the other");
  }
  if (config.training.full_batch) {
    refuse_combination(
        "data.train_files have weights with training.full_batch true, expected one of them: a full batch "
        "has every pair once; remove the other");
  }
}

void resolve_data(const JobConfig& config, v1::DataSpec& spec) {
  const DataConfig& data = config.data;
  spec.set_shuffle(data.shuffle);
  if (config.log_linear) return;
  spec.set_max_length(data.max_length);
  if (data.max_prompt_length) spec.set_max_prompt_length(*data.max_prompt_length);
  spec.set_truncation(message_enum<v1::Truncation>(data.truncation));
  spec.set_tokenization(message_enum<v1::Tokenization>(data.tokenization));
  spec.set_token_cache(data.token_cache);
  for (int i = 0; i < spec.validation_files_size(); ++i) {
    spec.mutable_validation_files(i)->set_name(data.validation_files[static_cast<std::size_t>(i)].name);
  }
  if (spec.group_columns().empty()) spec.add_group_columns("group");
}

void make_paths_absolute(const std::filesystem::path& folder, v1::DataSpec& spec) {
  spec.set_train(absolute_path(folder, spec.train()));
  if (spec.has_validation()) spec.set_validation(absolute_path(folder, spec.validation()));
  if (spec.has_test()) spec.set_test(absolute_path(folder, spec.test()));
  for (v1::DataFileSpec& file : *spec.mutable_train_files()) file.set_path(absolute_path(folder, file.path()));
  for (v1::DataFileSpec& file : *spec.mutable_validation_files()) file.set_path(absolute_path(folder, file.path()));
}

std::vector<DataFile> training_files(const DataConfig& config) {
  if (!config.train_files.empty()) return settled(config.train_files, config.group_columns);
  return settled({DataFile{.path = config.train}}, config.group_columns);
}

std::vector<DataFile> validation_files(const DataConfig& config) {
  if (!config.validation) return settled(config.validation_files, config.group_columns);
  return settled({DataFile{.path = *config.validation}}, config.group_columns);
}

bool is_mixture(const DataConfig& config) {
  return !config.train_files.empty() && config.train_files.front().weight.has_value();
}

}  // namespace equipoise
