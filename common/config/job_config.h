// A job's settings, checked once. Every default stands here, every range in SECTION_config.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config/lora_settings.h"
#include "common/config/optimizer_settings.h"
#include "common/log_linear/problem.h"
#include "common/robust/robust_settings.h"

namespace equipoise {

namespace v1 {
class JobSpec;
}  // namespace v1

enum class DType { kFloat32, kFloat64, kBFloat16 };
enum class Quantization { kNone, kNf4 };
enum class Truncation { kKeepStart, kKeepEnd, kDrop };
enum class Tokenization { kTrl, kAuthors };
enum class LossType { kDpo, kIpo, kSft, kHinge, kRobust };
enum class SftAverage { kToken, kSequence };
enum class Baseline { kNone, kLabelEntropy, kGiven };
enum class WeightOrigin { kCoordinator, kSpeculative };
enum class Sampling { kPermutation, kOneGroup, kStratified, kAutomatic };
enum class LaunchMode { kCoordinator, kExternal };

struct ModelConfig {
  std::filesystem::path path;
  std::optional<std::filesystem::path> reference;
  DType dtype = DType::kFloat32;
  std::optional<LoraSettings> lora;              // a new adapter
  std::optional<std::filesystem::path> adapter;  // one to go on with; not both
  double adapter_dropout = 0;                    // of `adapter`, in place of what its file says
  Quantization quantization = Quantization::kNone;
  std::optional<std::filesystem::path> chat_template;
  bool reference_cache = true;
};

struct LogLinearConfig {
  log_linear::Problem problem;  // has passed check_problem; initial_theta_D is D long
  bool closed_form = false;
  double ridge = 0.0;
  double projection_radius = 0.0;
};

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
  std::vector<DataFile> train_files;                // as given; data_files.h has those of either setting
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

struct LossConfig {
  LossType type = LossType::kDpo;
  double beta = 0.1;
  double label_smoothing = 0.0;
  bool length_normalized = false;
  bool reference_free = false;
  SftAverage sft_average = SftAverage::kToken;
  double sft_weight = 0.0;
  std::map<std::string, double> label_noise = {};  // group name -> share of flipped labels; 0 for the others
};

struct RobustConfig {
  RobustSettings settings;  // importance_weight_K, baseline_K left empty: they need the group table
  std::map<std::string, double> importance_weights;
  Baseline baseline = Baseline::kNone;
  std::map<std::string, double> group_baselines;
  bool paper_compat = false;
  WeightOrigin weight_sync = WeightOrigin::kCoordinator;
};

struct TrainingConfig {
  double epochs = 1.0;
  std::optional<std::int64_t> max_steps;
  std::int64_t global_batch_size = 64;
  std::int64_t micro_batch_tokens = 16384;
  std::uint64_t seed = 0;
  bool full_batch = false;                     // then global_batch_size says nothing: it is the number of pairs
  Sampling sampling = Sampling::kAutomatic;    // only where the groups decide: sampling_for of group_settings.h
  std::map<std::string, double> group_shares;  // kStratified; empty: equal
  bool gradient_checkpointing = false;
  std::optional<EarlyStoppingConfig> early_stopping;
};

struct LoggingConfig {
  std::int64_t every_steps = 1;
  std::vector<std::int64_t> at_steps;  // ascending; if not empty, exactly these
};

struct LaunchConfig {
  LaunchMode mode = LaunchMode::kCoordinator;
  std::optional<int> workers;
  std::chrono::seconds start_timeout{120};         // until all ranks have registered
  std::map<std::string, std::string> mpi_options;  // parameters of Open MPI, checked
  std::vector<std::string> environment;            // names of variables
};
inline constexpr int kMostWorkers = 16384;

struct JobConfig {
  std::string name;
  std::optional<LogLinearConfig> log_linear;  // the policy, in place of `model`
  ModelConfig model;
  DataConfig data;
  LossConfig loss;
  RobustConfig robust;
  OptimizerConfig optimizer;
  TrainingConfig training;
  std::int64_t evaluation_every_steps = 0;
  LoggingConfig logging;
  LaunchConfig launch;
  std::filesystem::path output;
  bool overwrite = false;
};

// Fills in defaults and checks every range. Throws std::invalid_argument naming the field (as in YAML:
// `loss.beta`), the value and what would be right. Does not touch the file system.
JobConfig make_job_config(const v1::JobSpec& spec);

}  // namespace equipoise
