#include "common/config/log_linear_config.h"

#include <cmath>
#include <limits>
#include <stdexcept>

#include "common/config/field_check.h"
#include "common/config/job_enums.h"
#include "common/config/loss_config.h"

namespace equipoise {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument(what); }

// The numbers of one list; what is no number becomes NaN, which check_problem refuses by its place.
std::vector<double> numbers_of(const google::protobuf::ListValue& list) {
  std::vector<double> numbers;
  for (const google::protobuf::Value& value : list.values()) {
    const bool is_number = value.kind_case() == google::protobuf::Value::kNumberValue;
    numbers.push_back(is_number ? value.number_value() : std::numeric_limits<double>::quiet_NaN());
  }
  return numbers;
}

log_linear::Problem problem_of(const v1::LogLinearSpec& spec) {
  log_linear::Problem problem;
  check_enum_known("policy.log_linear.features", spec.features(), *v1::FeatureMap_descriptor());
  if (spec.features() == v1::FEATURE_MAP_UNSPECIFIED) {
    refuse("policy.log_linear.features is missing, expected " + short_enum_names(*v1::FeatureMap_descriptor()));
  }
  problem.features = config_enum<log_linear::FeatureMap>(spec.features());
  constexpr std::int64_t kMostActions = 1 << 20;
  if (!spec.has_actions()) refuse("policy.log_linear.actions is missing, expected the number of actions");
  problem.actions =
      static_cast<std::uint32_t>(checked_integer("policy.log_linear.actions", spec.actions(), {2, kMostActions}));
  for (const auto& row : spec.reward()) problem.reward_KD.push_back(numbers_of(row));
  problem.initial_theta_D.assign(spec.initial_theta().begin(), spec.initial_theta().end());
  log_linear::check_problem(problem);
  problem.initial_theta_D.resize(problem.features_dim());  // absent: zeros
  return problem;
}

// Of a job whose policy is a language model.
void check_language_model(const v1::JobSpec& spec, const JobConfig& config) {
  const std::string needs = " needs policy.log_linear; remove it";
  if (config.data.test) refuse("data.test" + needs);
  if (config.training.sampling == Sampling::kOneGroup) refuse("training.sampling one_group" + needs);
  if (spec.robust().has_paper_compat()) refuse("robust.paper_compat" + needs);
  if (config.robust.weight_sync == WeightOrigin::kSpeculative) refuse("robust.weight_sync speculative" + needs);
  if (config.robust.settings.step_plateau.factor < 1) refuse("robust.step_factor below 1" + needs);
}

void check_log_linear_optimizer(const JobConfig& config) {
  const std::string no_use = " has no use with policy.log_linear; remove it";
  if (config.optimizer.type != OptimizerType::kSgd) {
    refuse("optimizer.type is " +
           short_enum_name(*v1::OptimizerType_descriptor()->FindValueByNumber(
               message_enum<v1::OptimizerType>(config.optimizer.type))) +
           ", expected sgd with policy.log_linear");
  }
  if (config.optimizer.weight_decay != 0) refuse("optimizer.weight_decay" + no_use);
  if (config.optimizer.max_grad_norm != 0) refuse("optimizer.max_grad_norm" + no_use + ", or set it to 0");
  if (!config.optimizer.decay_norms || !config.optimizer.decay_biases) refuse("optimizer.decay_exclude" + no_use);
}

// Settings of text have no use.
void check_no_tokens(const v1::DataSpec& data) {
  const std::string no_use = " has no use with policy.log_linear; remove it";
  if (data.has_max_prompt_length()) refuse("data.max_prompt_length" + no_use);
  if (data.truncation() != v1::TRUNCATION_UNSPECIFIED) refuse("data.truncation" + no_use);
  if (data.tokenization() != v1::TOKENIZATION_UNSPECIFIED) refuse("data.tokenization" + no_use);
  if (data.has_token_cache()) refuse("data.token_cache" + no_use);
  if (data.has_group_separator()) refuse("data.group_separator" + no_use + ": its groups are numbers");
}

void check_log_linear_job(const v1::JobSpec& spec, const JobConfig& config) {
  const std::string no_use = " has no use with policy.log_linear; remove it";
  if (spec.has_model()) refuse("model" + no_use + " (or the policy)");
  if (config.loss.type == LossType::kSft) {
    refuse("loss.type is sft, expected dpo, ipo, hinge or robust with policy.log_linear");
  }
  if (config.loss.sft_weight != 0) refuse("loss.sft_weight" + no_use);
  if (config.loss.length_normalized) refuse("loss.length_normalized" + no_use);
  if (config.loss.reference_free) refuse("loss.reference_free" + no_use);
  check_no_tokens(spec.data());
  check_log_linear_optimizer(config);
  if (config.training.gradient_checkpointing) refuse("training.gradient_checkpointing" + no_use);
  if (config.training.early_stopping && config.training.early_stopping->keep_best) {
    refuse("training.early_stopping.keep_best" + no_use);
  }
  if (!config.log_linear->closed_form) return;
  if (config.optimizer.schedule != ScheduleType::kConstant || config.optimizer.warmup_steps != 0) {
    refuse("optimizer.schedule has no use with policy.log_linear.closed_form; remove it");
  }
  if (config.loss.type != LossType::kIpo) {
    refuse("policy.log_linear.closed_form is true with loss.type " + loss_type_name(config.loss.type) +
           ", expected loss.type ipo");
  }
  if (!config.training.full_batch) {
    refuse("policy.log_linear.closed_form needs training.full_batch true; add it");
  }
}

}  // namespace

LogLinearConfig log_linear_config(const v1::LogLinearSpec& spec) {
  LogLinearConfig config{.problem = problem_of(spec), .closed_form = spec.closed_form()};
  config.ridge = checked_real("policy.log_linear.ridge", spec.ridge(), kNotNegative);
  config.projection_radius =
      checked_real("policy.log_linear.projection_radius", spec.projection_radius(), kNotNegative);
  return config;
}

void check_policy_combinations(const v1::JobSpec& spec, const JobConfig& config) {
  if (config.training.full_batch && spec.training().has_global_batch_size()) {
    refuse("training has both full_batch and global_batch_size; remove one of them");
  }
  if (config.training.full_batch && config.training.sampling != Sampling::kPermutation) {
    refuse("training.sampling is " +
           short_enum_name(*v1::Sampling_descriptor()->FindValueByNumber(spec.training().sampling())) +
           " with full_batch true, expected one of them; remove full_batch");
  }
  if (!config.training.group_shares.empty() && config.training.sampling != Sampling::kStratified) {
    refuse("training.group_shares needs training.sampling stratified; remove them or set the sampling");
  }
  if (config.log_linear) {
    check_log_linear_job(spec, config);
  } else {
    check_language_model(spec, config);
  }
}

}  // namespace equipoise
