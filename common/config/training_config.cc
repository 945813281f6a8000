#include "common/config/training_config.h"

#include <algorithm>
#include <initializer_list>
#include <string>

#include "common/base/message_text.h"
#include "common/config/field_check.h"
#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

static_assert(same_enums<v1::Sampling, Sampling>(v1::Sampling_MAX, {{v1::SAMPLING_PERMUTATION, Sampling::kPermutation},
                                                                    {v1::SAMPLING_ONE_GROUP, Sampling::kOneGroup},
                                                                    {v1::SAMPLING_STRATIFIED, Sampling::kStratified},
                                                                    {v1::SAMPLING_AUTOMATIC, Sampling::kAutomatic}}));
static_assert(same_enums<v1::StopMode, StopMode>(v1::StopMode_MAX, {{v1::STOP_MODE_MIN, StopMode::kMin},
                                                                    {v1::STOP_MODE_MAX, StopMode::kMax}}));

namespace {

constexpr std::size_t kLongestMetric = 512;

std::string checked_metric(const std::string& metric) {
  const std::string field = "training.early_stopping.metric";
  if (metric.empty()) {
    refuse_combination(field + " is missing, expected a number of the validation lines such as worst_group_loss");
  }
  if (metric.size() > kLongestMetric) {
    refuse_field(field, "a name of " + std::to_string(metric.size()) + " bytes",
                 "at most " + std::to_string(kLongestMetric));
  }
  return metric;
}

std::optional<EarlyStoppingConfig> early_stopping_config(const v1::TrainingSpec& training) {
  if (!training.has_early_stopping()) return std::nullopt;
  const v1::EarlyStoppingSpec& spec = training.early_stopping();
  const std::string section = "training.early_stopping.";
  EarlyStoppingConfig config{.metric = checked_metric(spec.metric())};
  set_enum(config.mode, section + "mode", spec.mode(), v1::StopMode_descriptor());
  if (spec.mode() == v1::STOP_MODE_UNSPECIFIED) {
    refuse_combination(section + "mode is missing, expected " + short_enum_names(*v1::StopMode_descriptor()));
  }
  if (spec.has_patience()) config.patience = checked_integer(section + "patience", spec.patience(), {1, kMaxSteps});
  if (spec.has_min_delta()) config.min_delta = checked_real(section + "min_delta", spec.min_delta(), kNotNegative);
  config.keep_best = spec.keep_best();
  return config;
}

// The words are those of trainers that take `true` for the newest one, also as Python and YAML write it.
bool is_any_word(const std::string& text, std::initializer_list<const char*> words) {
  return std::ranges::find(words, text) != words.end();
}
bool is_off(const std::string& text) { return is_any_word(text, {"false", "False", "FALSE"}); }
bool is_checkpoint_folder(const std::string& text) {
  return !is_off(text) && !is_any_word(text, {kLatestCheckpoint, "true", "True", "TRUE"});
}

std::optional<std::filesystem::path> resume_from_checkpoint(const v1::TrainingSpec& spec) {
  const std::string& text = spec.resume_from_checkpoint();
  if (!spec.has_resume_from_checkpoint() || is_off(text)) return std::nullopt;
  if (!is_checkpoint_folder(text)) return kLatestCheckpoint;
  return checked_path("training.resume_from_checkpoint", text);
}

void resolve_early_stopping(const EarlyStoppingConfig& config, v1::EarlyStoppingSpec& spec) {
  spec.set_metric(config.metric);
  spec.set_mode(message_enum<v1::StopMode>(config.mode));
  spec.set_patience(config.patience);
  spec.set_min_delta(config.min_delta);
  spec.set_keep_best(config.keep_best);
}

}  // namespace

TrainingConfig training_config(const v1::TrainingSpec& spec) {
  constexpr RealRange kEpochs{.at_lowest = Bound::kExcluded, .highest = 1e6, .at_highest = Bound::kIncluded};
  TrainingConfig config;
  if (spec.has_epochs()) config.epochs = checked_real("training.epochs", spec.epochs(), kEpochs);
  if (spec.has_max_steps()) config.max_steps = checked_integer("training.max_steps", spec.max_steps(), {1, kMaxSteps});
  if (spec.has_global_batch_size()) {
    config.global_batch_size = checked_integer("training.global_batch_size", spec.global_batch_size(), {1, kMaxInt32});
  }
  if (spec.has_micro_batch_tokens()) {
    config.micro_batch_tokens =
        checked_integer("training.micro_batch_tokens", spec.micro_batch_tokens(), {1, kMaxInt32});
  }
  if (spec.has_seed()) config.seed = spec.seed();
  config.full_batch = spec.full_batch();
  set_enum(config.sampling, "training.sampling", spec.sampling(), v1::Sampling_descriptor());
  config.group_shares = checked_group_numbers("training.group_shares", spec.group_shares());
  config.gradient_checkpointing = spec.gradient_checkpointing();
  config.early_stopping = early_stopping_config(spec);
  config.resume_from_checkpoint = resume_from_checkpoint(spec);
  return config;
}

void make_paths_absolute(const std::filesystem::path& folder, v1::TrainingSpec& spec) {
  if (!spec.has_resume_from_checkpoint() || !is_checkpoint_folder(spec.resume_from_checkpoint())) return;
  spec.set_resume_from_checkpoint(absolute_path(folder, spec.resume_from_checkpoint()));
}

void set_default_sampling(JobConfig& config) {
  if (config.training.sampling != Sampling::kAutomatic) return;
  const bool is_robust = config.robust.settings.mode == RobustMode::kGroupRobust && !config.robust.paper_compat;
  const bool draws_batches = config.data.shuffle && !config.training.full_batch && !is_mixture(config.data);
  if (!is_robust || !draws_batches) config.training.sampling = Sampling::kPermutation;
}

void check_training_combinations(const v1::JobSpec& spec, const JobConfig& config) {
  const TrainingConfig& training = config.training;
  if (training.early_stopping && config.evaluation_every_steps == 0) {
    refuse_combination("training.early_stopping needs evaluation.every_steps; add it");
  }
  if (training.full_batch && spec.training().has_global_batch_size()) {
    refuse_combination("training has both full_batch and global_batch_size; remove one of them");
  }
  if (training.full_batch && training.sampling != Sampling::kPermutation) {
    refuse_combination("training.sampling is " + config_enum_name(training.sampling, *v1::Sampling_descriptor()) +
                       " with full_batch true, expected one of them; remove full_batch");
  }
  if (config.overwrite && training.resume_from_checkpoint == kLatestCheckpoint) {
    refuse_combination(
        "training.resume_from_checkpoint goes on with the run in output, and overwrite replaces it; remove "
        "one of them");
  }
  if (!training.group_shares.empty() && training.sampling != Sampling::kStratified) {
    refuse_combination("training.group_shares needs training.sampling stratified; remove them or set the sampling");
  }
}

void resolve_training(const JobConfig& config, v1::TrainingSpec& spec) {
  const TrainingConfig& training = config.training;
  if (training.max_steps) {
    spec.clear_epochs();  // ignored next to max_steps
  } else {
    spec.set_epochs(training.epochs);
  }
  spec.set_full_batch(training.full_batch);
  if (!training.full_batch) spec.set_global_batch_size(training.global_batch_size);
  spec.set_seed(training.seed);
  spec.set_sampling(message_enum<v1::Sampling>(training.sampling));
  if (training.early_stopping) resolve_early_stopping(*training.early_stopping, *spec.mutable_early_stopping());
  if (config.log_linear) return;
  spec.set_micro_batch_tokens(training.micro_batch_tokens);
  spec.set_gradient_checkpointing(training.gradient_checkpointing);
}

}  // namespace equipoise
