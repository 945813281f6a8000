#include "common/config/job_config.h"

#include <stdexcept>

#include "common/base/message_text.h"
#include "common/config/field_check.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {
namespace {

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

std::string checked_name(const std::string& name) {
  bool good = !name.empty() && name.size() <= kLongestJobName && name.front() >= 'a' && name.front() <= 'z' &&
              name.back() != '-';
  for (const char c : name) good = good && (lower_or_digit(c) || c == '-');
  if (name.empty()) throw std::invalid_argument("name is missing, expected one such as opinions-gr-dpo");
  if (!good) {
    refuse_field("name", quoted_text(name),
                 "at most 63 of a-z, 0-9 and -, with a letter first and no - at the end, such as opinions-gr-dpo");
  }
  return name;
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
  config.evaluation_every_steps = evaluation_every_steps(spec.evaluation());
  config.logging = logging_config(spec.logging());
  config.launch = launch_config(spec.launch());
  config.checkpoint = checkpoint_config(spec.checkpoint());
  config.ledger = ledger_config(spec.ledger());
  config.output = checked_path("output", spec.output());
  if (spec.has_overwrite()) config.overwrite = spec.overwrite();
  set_default_sampling(config);
  check_loss_combinations(spec, config.loss);
  set_default_sft_average(config.loss, spec.loss(), config.robust.settings.mode);
  check_optimizer_combinations(spec, config);
  check_robust_combinations(config);
  check_data_combinations(config);
  check_evaluation_combinations(config);
  check_training_combinations(spec, config);
  check_logging_combinations(spec.logging());
  check_policy_combinations(spec, config);
  return config;
}

// From the checked settings back to the message, so that a default is stated once.
v1::JobSpec resolve_defaults(const v1::JobSpec& spec, const JobConfig& config) {
  v1::JobSpec resolved = spec;
  if (config.log_linear) {
    resolve_log_linear(*config.log_linear, *resolved.mutable_policy()->mutable_log_linear());
  } else {
    resolve_model(config, *resolved.mutable_model());
  }
  resolve_data(config, *resolved.mutable_data());
  resolve_loss(config, *resolved.mutable_loss());
  resolve_robust(config, *resolved.mutable_robust());
  resolve_optimizer(config.optimizer, *resolved.mutable_optimizer());
  resolve_training(config, *resolved.mutable_training());
  resolve_evaluation(config, *resolved.mutable_evaluation());
  resolve_logging(config.logging, *resolved.mutable_logging());
  resolve_launch(config.launch, *resolved.mutable_launch());
  resolve_checkpoint(config.checkpoint, *resolved.mutable_checkpoint());
  resolve_ledger(config.ledger, *resolved.mutable_ledger());
  resolved.set_overwrite(config.overwrite);
  return resolved;
}

}  // namespace equipoise
