#include "common/config/optimizer_config.h"

#include "common/config/field_check.h"
#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

static_assert(same_enums<v1::OptimizerType, OptimizerType>(v1::OptimizerType_MAX,
                                                           {{v1::OPTIMIZER_TYPE_ADAMW, OptimizerType::kAdamW},
                                                            {v1::OPTIMIZER_TYPE_SGD, OptimizerType::kSgd},
                                                            {v1::OPTIMIZER_TYPE_RMSPROP, OptimizerType::kRmsProp},
                                                            {v1::OPTIMIZER_TYPE_MUON, OptimizerType::kMuon}}));
static_assert(same_enums<v1::MuonScale, MuonScale>(v1::MuonScale_MAX,
                                                   {{v1::MUON_SCALE_MATCH_RMS_ADAMW, MuonScale::kMatchRmsAdamW},
                                                    {v1::MUON_SCALE_ORIGINAL, MuonScale::kOriginal}}));
static_assert(same_enums<v1::ScheduleType, ScheduleType>(v1::ScheduleType_MAX,
                                                         {{v1::SCHEDULE_TYPE_CONSTANT, ScheduleType::kConstant},
                                                          {v1::SCHEDULE_TYPE_LINEAR, ScheduleType::kLinear},
                                                          {v1::SCHEDULE_TYPE_COSINE, ScheduleType::kCosine},
                                                          {v1::SCHEDULE_TYPE_PLATEAU, ScheduleType::kPlateau}}));

namespace {

constexpr RealRange kBelowOne{.highest = 1};

void set_betas(OptimizerConfig& config, const google::protobuf::RepeatedField<double>& betas) {
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

void set_momentum(OptimizerConfig& config, const v1::OptimizerSpec& spec) {
  if (config.type == OptimizerType::kMuon) config.momentum = 0.95;
  if (spec.has_momentum()) config.momentum = checked_real("optimizer.momentum", spec.momentum(), kBelowOne);
  if (spec.has_smoothing()) config.smoothing = checked_real("optimizer.smoothing", spec.smoothing(), kBelowOne);
  set_enum(config.muon_scale, "optimizer.muon_scale", spec.muon_scale(), v1::MuonScale_descriptor());
  config.adamw_learning_rate = config.learning_rate;
  if (!spec.has_adamw_learning_rate()) return;
  config.adamw_learning_rate = checked_real("optimizer.adamw_learning_rate", spec.adamw_learning_rate(), kPositive);
}

void set_schedule(OptimizerConfig& config, const v1::ScheduleSpec& spec) {
  const std::string section = "optimizer.schedule.";
  set_enum(config.schedule, section + "type", spec.type(), v1::ScheduleType_descriptor());
  if (spec.has_warmup_steps()) {
    config.warmup_steps = checked_integer(section + "warmup_steps", spec.warmup_steps(), {0, kMaxSteps});
  }
  if (spec.has_factor()) {
    constexpr RealRange kInsideUnit{.at_lowest = Bound::kExcluded, .highest = 1};
    config.plateau.factor = checked_real(section + "factor", spec.factor(), kInsideUnit);
  }
  if (spec.has_patience()) {
    config.plateau.patience = checked_integer(section + "patience", spec.patience(), {0, kMaxSteps}) + 1;
  }
  if (spec.has_threshold()) {
    config.plateau.threshold = checked_real(section + "threshold", spec.threshold(), kBelowOne);
  }
  if (spec.has_minimum()) {
    const RealRange up_to_rate{.highest = config.learning_rate, .at_highest = Bound::kIncluded};
    config.plateau.smallest = checked_real(section + "minimum", spec.minimum(), up_to_rate);
  }
}

bool uses_adamw(OptimizerType type) { return type == OptimizerType::kAdamW || type == OptimizerType::kMuon; }
bool uses_momentum(OptimizerType type) { return type == OptimizerType::kRmsProp || type == OptimizerType::kMuon; }

void need_type(bool given, bool used, const std::string& field, const std::string& types) {
  if (given && !used) refuse_combination(field + " needs optimizer.type " + types + "; remove it or set the type");
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
  set_momentum(config, spec);
  set_schedule(config, spec.schedule());
  return config;
}

void check_optimizer_combinations(const v1::JobSpec& spec, const JobConfig& config) {
  const v1::OptimizerSpec& given = spec.optimizer();
  const OptimizerType type = config.optimizer.type;
  need_type(!given.betas().empty(), uses_adamw(type), "optimizer.betas", "adamw or muon");
  need_type(given.has_epsilon(), type != OptimizerType::kSgd, "optimizer.epsilon", "adamw, rmsprop or muon");
  need_type(given.has_momentum(), uses_momentum(type), "optimizer.momentum", "rmsprop or muon");
  need_type(given.has_smoothing(), type == OptimizerType::kRmsProp, "optimizer.smoothing", "rmsprop");
  need_type(given.muon_scale() != 0, type == OptimizerType::kMuon, "optimizer.muon_scale", "muon");
  need_type(given.has_adamw_learning_rate(), type == OptimizerType::kMuon, "optimizer.adamw_learning_rate", "muon");

  const v1::ScheduleSpec& schedule = given.schedule();
  const bool is_plateau = config.optimizer.schedule == ScheduleType::kPlateau;
  const bool has_plateau_settings =
      schedule.has_factor() || schedule.has_patience() || schedule.has_threshold() || schedule.has_minimum();
  if (has_plateau_settings && !is_plateau) {
    refuse_combination(
        "optimizer.schedule.factor, patience, threshold and minimum need optimizer.schedule.type plateau; remove them "
        "or set the type");
  }
  if (is_plateau && config.evaluation_every_steps == 0) {
    refuse_combination("optimizer.schedule.type plateau needs evaluation.every_steps; add it");
  }
}

void resolve_optimizer(const OptimizerConfig& config, v1::OptimizerSpec& spec) {
  spec.set_type(message_enum<v1::OptimizerType>(config.type));
  spec.set_learning_rate(config.learning_rate);
  if (uses_adamw(config.type)) {
    spec.clear_betas();
    spec.add_betas(config.beta1);
    spec.add_betas(config.beta2);
  }
  if (config.type != OptimizerType::kSgd) spec.set_epsilon(config.epsilon);
  if (uses_momentum(config.type)) spec.set_momentum(config.momentum);
  if (config.type == OptimizerType::kRmsProp) spec.set_smoothing(config.smoothing);
  if (config.type == OptimizerType::kMuon) {
    spec.set_muon_scale(message_enum<v1::MuonScale>(config.muon_scale));
    spec.set_adamw_learning_rate(config.adamw_learning_rate);
  }
  spec.set_weight_decay(config.weight_decay);
  spec.set_max_grad_norm(config.max_grad_norm);
  v1::ScheduleSpec& schedule = *spec.mutable_schedule();
  schedule.set_type(message_enum<v1::ScheduleType>(config.schedule));
  schedule.set_warmup_steps(config.warmup_steps);
  if (config.schedule != ScheduleType::kPlateau) return;
  schedule.set_factor(config.plateau.factor);
  schedule.set_patience(config.plateau.patience - 1);
  schedule.set_threshold(config.plateau.threshold);
  schedule.set_minimum(config.plateau.smallest);
}

}  // namespace equipoise
