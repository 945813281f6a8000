#include "common/config/job_config.h"

#include <limits>
#include <stdexcept>

#include "common/base/quoted_text.h"
#include "common/config/field_check.h"
#include "common/config/job_enums.h"
#include "common/config/log_linear_config.h"

namespace equipoise {
namespace {

constexpr std::int64_t kMaxInt32 = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMaxSteps = 1'000'000'000'000;  // steps, pairs: far beyond any run, far from overflow
constexpr std::int64_t kMaxWorkers = 65536;

[[noreturn]] void refuse_combination(const std::string& what) { throw std::invalid_argument(what); }

// Sets `target` from an enum field that is given; 0 is "absent".
template <class Config, class Message>
void set_enum(Config& target, std::string_view field, Message value, const google::protobuf::EnumDescriptor* known) {
  check_enum_known(field, value, *known);
  if (value != 0) target = config_enum<Config>(value);
}

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

ModelConfig model_config(const v1::ModelSpec& spec) {
  ModelConfig config;
  config.path = checked_path("model.path", spec.path());
  if (spec.has_reference()) config.reference = checked_path("model.reference", spec.reference());
  set_enum(config.dtype, "model.dtype", spec.dtype(), v1::DType_descriptor());
  return config;
}

DataConfig data_config(const v1::DataSpec& spec) {
  DataConfig config;
  config.train = checked_path("data.train", spec.train());
  if (spec.has_validation()) config.validation = checked_path("data.validation", spec.validation());
  if (spec.has_test()) config.test = checked_path("data.test", spec.test());
  if (spec.has_max_length()) {
    config.max_length = static_cast<int>(checked_integer("data.max_length", spec.max_length(), {2, 1 << 20}));
  }
  if (spec.has_shuffle()) config.shuffle = spec.shuffle();
  config.group_counts = checked_group_numbers("data.group_counts", spec.group_counts());
  return config;
}

LossConfig loss_config(const v1::LossSpec& spec) {
  constexpr RealRange kSmoothing{.highest = 0.5};
  LossConfig config;
  set_enum(config.type, "loss.type", spec.type(), v1::LossType_descriptor());
  set_enum(config.sft_average, "loss.sft_average", spec.sft_average(), v1::SftAverage_descriptor());
  if (spec.has_beta()) config.beta = checked_real("loss.beta", spec.beta(), kPositive);
  if (spec.has_label_smoothing()) {
    config.label_smoothing = checked_real("loss.label_smoothing", spec.label_smoothing(), kSmoothing);
  }
  if (spec.has_length_normalized()) config.length_normalized = spec.length_normalized();
  if (spec.has_reference_free()) config.reference_free = spec.reference_free();
  return config;
}

log_linear::PlateauSettings step_plateau(const v1::RobustSpec& spec) {
  constexpr RealRange kFactor{.at_lowest = Bound::kExcluded, .highest = 1, .at_highest = Bound::kIncluded};
  constexpr RealRange kThreshold{.highest = 1};
  log_linear::PlateauSettings plateau;
  if (spec.has_step_factor()) plateau.factor = checked_real("robust.step_factor", spec.step_factor(), kFactor);
  if (spec.has_step_patience()) {
    plateau.patience = checked_integer("robust.step_patience", spec.step_patience(), {1, kMaxSteps});
  }
  if (spec.has_step_threshold()) {
    plateau.threshold = checked_real("robust.step_threshold", spec.step_threshold(), kThreshold);
  }
  if (spec.has_step_minimum()) {
    plateau.smallest = checked_real("robust.step_minimum", spec.step_minimum(), kNotNegative);
  }
  return plateau;
}

RobustConfig robust_config(const v1::RobustSpec& spec) {
  RobustConfig config;
  RobustSettings& settings = config.settings;
  set_enum(settings.mode, "robust.mode", spec.mode(), v1::RobustMode_descriptor());
  if (settings.mode == RobustMode::kImportance) settings.estimator = Estimator::kBatchSum;
  set_enum(settings.estimator, "robust.estimator", spec.estimator(), v1::Estimator_descriptor());
  set_enum(settings.update, "robust.update", spec.update(), v1::WeightUpdate_descriptor());
  if (spec.has_step_size()) settings.step_size = checked_real("robust.step_size", spec.step_size(), kNotNegative);
  if (spec.has_adjustment()) settings.adjustment = checked_real("robust.adjustment", spec.adjustment(), kNotNegative);
  if (spec.has_trade_off()) settings.trade_off = checked_real("robust.trade_off", spec.trade_off(), kUnitInterval);
  if (spec.has_min_weight()) settings.min_weight = checked_real("robust.min_weight", spec.min_weight(), kUnitInterval);
  config.importance_weights = checked_group_numbers("robust.importance_weights", spec.importance_weights());
  config.paper_compat = spec.paper_compat();
  set_enum(config.weight_sync, "robust.weight_sync", spec.weight_sync(), v1::WeightSync_descriptor());
  config.step_plateau = step_plateau(spec);
  return config;
}

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

OptimizerConfig optimizer_config(const v1::OptimizerSpec& spec, OptimizerConfig config) {
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

LaunchConfig launch_config(const v1::LaunchSpec& spec) {
  LaunchConfig config;
  set_enum(config.mode, "launch.mode", spec.mode(), v1::LaunchMode_descriptor());
  if (config.mode == LaunchMode::kCoordinator) config.workers = 1;
  if (spec.has_workers()) {
    config.workers = static_cast<int>(checked_integer("launch.workers", spec.workers(), {1, kMaxWorkers}));
  }
  return config;
}

void check_loss_combinations(const v1::JobSpec& spec, const LossConfig& loss) {
  if (loss.label_smoothing != 0 && loss.type != LossType::kDpo) {
    refuse_combination("loss.label_smoothing needs loss.type dpo; remove it, or set it to 0");
  }
  if (loss.type != LossType::kSft && spec.loss().sft_average() != 0) {
    refuse_combination("loss.sft_average needs loss.type sft; remove it");
  }
  if (loss.reference_free && spec.model().has_reference()) {
    refuse_combination("model.reference has no use with loss.reference_free true; remove one of them");
  }
  if (loss.type != LossType::kSft) return;
  if (spec.loss().has_beta()) refuse_combination("loss.beta has no use with loss.type sft; remove it");
  if (loss.length_normalized) {
    refuse_combination("loss.length_normalized has no use with loss.type sft, which has loss.sft_average instead");
  }
  if (loss.reference_free) refuse_combination("loss.reference_free has no use with loss.type sft; remove it");
  if (spec.model().has_reference()) refuse_combination("model.reference has no use with loss.type sft; remove it");
}

// A group's loss is a mean over its pairs, so a token mean over the batch cannot be split into group losses.
void settle_sft_average(LossConfig& loss, const v1::LossSpec& spec, RobustMode mode) {
  if (loss.type != LossType::kSft || mode == RobustMode::kNone) return;
  if (spec.sft_average() == v1::SFT_AVERAGE_TOKEN) {
    refuse_combination("loss.sft_average is token, expected sequence, as robust.mode is not none");
  }
  loss.sft_average = SftAverage::kSequence;
}

// Settings of the mirror ascent may stay in a job whose robust.mode is another one: the mode is the switch.
void check_other_combinations(const v1::JobSpec& spec, const JobConfig& config) {
  if (!config.robust.importance_weights.empty() && config.robust.settings.mode != RobustMode::kImportance) {
    refuse_combination("robust.importance_weights needs robust.mode importance; remove them or set the mode");
  }
  if (config.optimizer.type == OptimizerType::kSgd &&
      (!spec.optimizer().betas().empty() || spec.optimizer().has_epsilon())) {
    refuse_combination("optimizer.betas and optimizer.epsilon need optimizer.type adamw; remove them");
  }
  if (config.evaluation_every_steps > 0 && !config.data.validation) {
    refuse_combination("evaluation.every_steps needs data.validation; add it, or set every_steps to 0");
  }
  // N / N_g would mix the file's N with the population's N_g.
  if (!config.data.group_counts.empty() && config.robust.settings.estimator == Estimator::kDatasetScaled) {
    refuse_combination("data.group_counts does not go with robust.estimator dataset_scaled; remove one of them");
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
  config.optimizer = optimizer_config(spec.optimizer(), optimizer_defaults(spec));
  config.training = training_config(spec.training());
  config.evaluation_every_steps =
      checked_integer("evaluation.every_steps", spec.evaluation().every_steps(), {0, kMaxSteps});
  config.logging = logging_config(spec.logging());
  config.launch = launch_config(spec.launch());
  config.output = checked_path("output", spec.output());
  if (spec.has_overwrite()) config.overwrite = spec.overwrite();
  check_loss_combinations(spec, config.loss);
  settle_sft_average(config.loss, spec.loss(), config.robust.settings.mode);
  check_other_combinations(spec, config);
  check_policy_combinations(spec, config);
  return config;
}

}  // namespace equipoise
