#include "common/config/job_config.h"

#include <stdexcept>

#include "common/base/quoted_text.h"
#include "common/config/baseline_config.h"
#include "common/config/data_config.h"
#include "common/config/data_files.h"
#include "common/config/data_files_config.h"
#include "common/config/early_stopping_config.h"
#include "common/config/field_check.h"
#include "common/config/launch_config.h"
#include "common/config/log_linear_config.h"
#include "common/config/loss_config.h"
#include "common/config/model_config.h"
#include "common/config/optimizer_config.h"
#include "common/config/robust_config.h"
#include "common/config/set_enum.h"

namespace equipoise {
namespace {

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

std::string checked_name(const std::string& name) {
  bool good = !name.empty() && name.size() <= 63 && name.front() >= 'a' && name.front() <= 'z' && name.back() != '-';
  for (const char c : name) good = good && (lower_or_digit(c) || c == '-');
  if (name.empty()) throw std::invalid_argument("name is missing, expected one such as opinions-gr-dpo");
  if (!good) {
    refuse_field("name", quoted_text(name),
                 "at most 63 of a-z, 0-9 and -, with a letter first and no - at the end, such as opinions-gr-dpo");
  }
  return name;
}

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
  return config;
}

LoggingConfig logging_config(const v1::LoggingSpec& spec) {
  LoggingConfig config;
  if (spec.has_every_steps()) {
    config.every_steps = checked_integer("logging.every_steps", spec.every_steps(), {1, kMaxSteps});
  }
  for (const std::int64_t step : spec.at_steps()) {
    const std::int64_t lowest = config.at_steps.empty() ? 1 : config.at_steps.back() + 1;  // ascending
    config.at_steps.push_back(checked_integer("logging.at_steps", step, {lowest, kMaxSteps}));
  }
  return config;
}

// Automatic stays where the number of groups decides.
void settle_sampling(JobConfig& config) {
  if (config.training.sampling != Sampling::kAutomatic) return;
  const bool is_robust = config.robust.settings.mode == RobustMode::kGroupRobust && !config.robust.paper_compat;
  const bool draws_batches = config.data.shuffle && !config.training.full_batch && !is_mixture(config.data);
  if (!is_robust || !draws_batches) config.training.sampling = Sampling::kPermutation;
}

// Settings of the mirror ascent may stay in a job whose robust.mode is another one: the mode is the switch.
void check_other_combinations(const v1::JobSpec& spec, const JobConfig& config) {
  if (!config.robust.importance_weights.empty() && config.robust.settings.mode != RobustMode::kImportance) {
    refuse_combination("robust.importance_weights needs robust.mode importance; remove them or set the mode");
  }
  if (config.evaluation_every_steps > 0 && validation_files(config.data).empty()) {
    refuse_combination("evaluation.every_steps needs data.validation; add it, or set every_steps to 0");
  }
  if (!config.logging.at_steps.empty() && spec.logging().has_every_steps()) {
    refuse_combination("logging has both every_steps and at_steps; remove one of them");
  }
}

}  // namespace

JobConfig make_job_config(const v1::JobSpec& spec) {
  JobConfig config;
  config.name = checked_name(spec.name());
  if (spec.has_policy()) {
    config.log_linear = log_linear_config(spec.policy().log_linear());
  } else {
    config.model = model_config(spec.model());
  }
  config.data = data_config(spec.data());
  config.loss = loss_config(spec.loss());
  config.robust = robust_config(spec.robust());
  config.optimizer = optimizer_config(spec);
  config.training = training_config(spec.training());
  config.evaluation_every_steps =
      checked_integer("evaluation.every_steps", spec.evaluation().every_steps(), {0, kMaxSteps});
  config.logging = logging_config(spec.logging());
  config.launch = launch_config(spec.launch());
  config.output = checked_path("output", spec.output());
  if (spec.has_overwrite()) config.overwrite = spec.overwrite();
  settle_sampling(config);
  check_loss_combinations(spec, config.loss);
  settle_sft_average(config.loss, spec.loss(), config.robust.settings.mode);
  check_optimizer_combinations(spec, config);
  check_early_stopping_combinations(config);
  check_baseline_combinations(config);
  check_data_files_combinations(config);
  check_other_combinations(spec, config);
  check_policy_combinations(spec, config);
  return config;
}

}  // namespace equipoise
