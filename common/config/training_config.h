// Section `training` of a job: its settings, their defaults, ranges and checks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace equipoise {

namespace v1 {
class JobSpec;
class TrainingSpec;
}  // namespace v1
struct JobConfig;

enum class Sampling { kPermutation, kOneGroup, kStratified, kAutomatic };
enum class StopMode { kMin, kMax };

struct EarlyStoppingConfig {
  std::string metric;
  StopMode mode = StopMode::kMin;
  std::int64_t patience = 3;
  double min_delta = 0.0;
  bool keep_best = false;
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
  // The checkpoint to go on from: a folder, or kLatestCheckpoint.
  std::optional<std::filesystem::path> resume_from_checkpoint;
};
// The newest whole one of the output.
inline constexpr char kLatestCheckpoint[] = "latest";

// Throws std::invalid_argument as make_job_config. Whether the metric of early_stopping exists is known when the data
// has been read.
TrainingConfig training_config(const v1::TrainingSpec& spec);

// `spec` with an absolute path in place of a relative one, based on the folder of its job file.
void make_paths_absolute(const std::filesystem::path& folder, v1::TrainingSpec& spec);

// Automatic stays where the number of groups decides.
void set_default_sampling(JobConfig& config);

// Settings of batches that contradict each other, and early stopping where nothing is evaluated while the job trains.
void check_training_combinations(const v1::JobSpec& spec, const JobConfig& config);

// Back to the message, every default filled in.
void resolve_training(const JobConfig& config, v1::TrainingSpec& spec);

}  // namespace equipoise
