#include "common/config/optimizer_config.h"

#include "common/config/field_check.h"
#include "common/config/set_enum.h"

namespace equipoise {
namespace {

void set_betas(OptimizerConfig& config, const google::protobuf::RepeatedField<double>& betas) {
  constexpr RealRange kBelowOne{.highest = 1};
  if (betas.empty()) return;
  if (betas.size() != 2) {
    refuse_field("optimizer.betas", "a list of " + std::to_string(betas.size()), "two numbers such as [0.9, 0.999]");
  }
  config.beta1 = checked_real("optimizer.betas[0]", betas[0], kBelowOne);
  config.beta2 = checked_real("optimizer.betas[1]", betas[1], kBelowOne);
}

void set_decay_exclude(OptimizerConfig& config, const google::protobuf::RepeatedField<int>& excluded) {
  for (const int part : excluded) {
    check_enum_known("optimizer.decay_exclude", part, *v1::DecayExclude_descriptor());
    if (part == v1::DECAY_EXCLUDE_UNSPECIFIED) {
      refuse_field("optimizer.decay_exclude", "unspecified", short_enum_names(*v1::DecayExclude_descriptor()));
    }
    if (part == v1::DECAY_EXCLUDE_NORM) config.decay_norms = false;
    if (part == v1::DECAY_EXCLUDE_BIAS) config.decay_biases = false;
  }
}

OptimizerConfig optimizer_defaults(const v1::JobSpec& job) {
  OptimizerConfig config;
  if (!job.has_policy()) return config;
  config.type = OptimizerType::kSgd;
  config.learning_rate = 0.1;
  config.max_grad_norm = 0;
  return config;
}

}  // namespace

OptimizerConfig optimizer_config(const v1::JobSpec& job) {
  const v1::OptimizerSpec& spec = job.optimizer();
  OptimizerConfig config = optimizer_defaults(job);
  set_enum(config.type, "optimizer.type", spec.type(), v1::OptimizerType_descriptor());
  if (spec.has_learning_rate()) {
    config.learning_rate = checked_real("optimizer.learning_rate", spec.learning_rate(), kPositive);
  }
  set_betas(config, spec.betas());
  if (spec.has_epsilon()) config.epsilon = checked_real("optimizer.epsilon", spec.epsilon(), kPositive);
  if (spec.has_weight_decay()) {
    config.weight_decay = checked_real("optimizer.weight_decay", spec.weight_decay(), kNotNegative);
  }
  set_decay_exclude(config, spec.decay_exclude());
  if (spec.has_max_grad_norm()) {
    config.max_grad_norm = checked_real("optimizer.max_grad_norm", spec.max_grad_norm(), kNotNegative);
  }
  check_enum_known("optimizer.schedule.type", spec.schedule().type(), *v1::ScheduleType_descriptor());
  if (spec.schedule().has_warmup_steps()) {
    config.warmup_steps =
        checked_integer("optimizer.schedule.warmup_steps", spec.schedule().warmup_steps(), {0, kMaxSteps});
  }
  return config;
}

}  // namespace equipoise
