#include "common/config/log_linear_config.h"

#include <limits>
#include <string>
#include <vector>

#include "common/config/field_check.h"
#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

static_assert(same_enums<v1::FeatureMap, log_linear::FeatureMap>(
    v1::FeatureMap_MAX, {{v1::FEATURE_MAP_SAME, log_linear::FeatureMap::kSame},
                         {v1::FEATURE_MAP_SWAPPED, log_linear::FeatureMap::kSwapped},
                         {v1::FEATURE_MAP_FLIPPED, log_linear::FeatureMap::kFlipped}}));

namespace {

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
    refuse_combination("policy.log_linear.features is missing, expected " +
                       short_enum_names(*v1::FeatureMap_descriptor()));
  }
  problem.features = config_enum<log_linear::FeatureMap>(spec.features());
  constexpr std::int64_t kMostActions = 1 << 20;
  if (!spec.has_actions()) refuse_combination("policy.log_linear.actions is missing, expected the number of actions");
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
  if (config.data.test) refuse_combination("data.test" + needs);
  if (config.training.sampling == Sampling::kOneGroup) refuse_combination("training.sampling one_group" + needs);
  if (spec.robust().has_paper_compat()) refuse_combination("robust.paper_compat" + needs);
}

void check_log_linear_optimizer(const JobConfig& config) {
  const std::string no_use = " has no use with policy.log_linear; remove it";
  if (config.optimizer.type != OptimizerType::kSgd) {
    refuse_combination("optimizer.type is " + config_enum_name(config.optimizer.type, *v1::OptimizerType_descriptor()) +
                       ", expected sgd with policy.log_linear");
  }
  if (config.optimizer.weight_decay != 0) refuse_combination("optimizer.weight_decay" + no_use);
  if (config.optimizer.max_grad_norm != 0) refuse_combination("optimizer.max_grad_norm" + no_use + ", or set it to 0");
  if (!config.optimizer.decay_norms || !config.optimizer.decay_biases)
    refuse_combination("optimizer.decay_exclude" + no_use);
}

// Settings of text have no use.
void check_no_tokens(const v1::DataSpec& data) {
  const std::string no_use = " has no use with policy.log_linear; remove it";
  if (data.has_max_prompt_length()) refuse_combination("data.max_prompt_length" + no_use);
  if (data.truncation() != v1::TRUNCATION_UNSPECIFIED) refuse_combination("data.truncation" + no_use);
  if (data.tokenization() != v1::TOKENIZATION_UNSPECIFIED) refuse_combination("data.tokenization" + no_use);
  if (data.has_token_cache()) refuse_combination("data.token_cache" + no_use);
  if (data.has_group_separator()) refuse_combination("data.group_separator" + no_use + ": its groups are numbers");
}

void check_log_linear_job(const v1::JobSpec& spec, const JobConfig& config) {
  const std::string no_use = " has no use with policy.log_linear; remove it";
  if (spec.has_model()) refuse_combination("model" + no_use + " (or the policy)");
  const LossTraits& loss = traits_of(config.loss.type);
  if (!loss.has_log_linear_kernel) {
    refuse_combination("loss.type is " + std::string(loss.name) + ", expected " +
                       losses_with(&LossTraits::has_log_linear_kernel) + " with policy.log_linear");
  }
  if (config.loss.sft_weight != 0) refuse_combination("loss.sft_weight" + no_use);
  if (config.loss.length_normalized) refuse_combination("loss.length_normalized" + no_use);
  if (config.loss.reference_free) refuse_combination("loss.reference_free" + no_use);
  check_no_tokens(spec.data());
  check_log_linear_optimizer(config);
  if (config.training.gradient_checkpointing) refuse_combination("training.gradient_checkpointing" + no_use);
  if (config.training.early_stopping && config.training.early_stopping->keep_best) {
    refuse_combination("training.early_stopping.keep_best" + no_use);
  }
  if (!config.log_linear->closed_form) return;
  if (config.optimizer.schedule != ScheduleType::kConstant || config.optimizer.warmup_steps != 0) {
    refuse_combination("optimizer.schedule has no use with policy.log_linear.closed_form; remove it");
  }
  if (config.loss.type != LossType::kIpo) {
    refuse_combination("policy.log_linear.closed_form is true with loss.type " + std::string(loss.name) +
                       ", expected loss.type ipo");
  }
  if (!config.training.full_batch) {
    refuse_combination("policy.log_linear.closed_form needs training.full_batch true; add it");
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
  if (config.log_linear) {
    check_log_linear_job(spec, config);
  } else {
    check_language_model(spec, config);
  }
}

void resolve_log_linear(const LogLinearConfig& config, v1::LogLinearSpec& spec) {
  const auto& theta_D = config.problem.initial_theta_D;
  spec.mutable_initial_theta()->Assign(theta_D.begin(), theta_D.end());
  spec.set_closed_form(config.closed_form);
  spec.set_ridge(config.ridge);
  spec.set_projection_radius(config.projection_radius);
}

}  // namespace equipoise
