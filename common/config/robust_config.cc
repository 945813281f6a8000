#include "common/config/robust_config.h"

#include <string>

#include "common/config/field_check.h"
#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

static_assert(same_enums<v1::RobustMode, RobustMode>(v1::RobustMode_MAX,
                                                     {{v1::ROBUST_MODE_NONE, RobustMode::kNone},
                                                      {v1::ROBUST_MODE_IMPORTANCE, RobustMode::kImportance},
                                                      {v1::ROBUST_MODE_GROUP_ROBUST, RobustMode::kGroupRobust}}));
static_assert(same_enums<v1::Estimator, Estimator>(v1::Estimator_MAX,
                                                   {{v1::ESTIMATOR_BATCH_MEAN, Estimator::kBatchMean},
                                                    {v1::ESTIMATOR_DATASET_SCALED, Estimator::kDatasetScaled},
                                                    {v1::ESTIMATOR_BATCH_SUM, Estimator::kBatchSum},
                                                    {v1::ESTIMATOR_UNBIASED, Estimator::kUnbiased}}));
static_assert(same_enums<v1::WeightUpdate, WeightUpdate>(
    v1::WeightUpdate_MAX, {{v1::WEIGHT_UPDATE_BEFORE_GRADIENT, WeightUpdate::kBeforeGradient},
                           {v1::WEIGHT_UPDATE_AFTER_GRADIENT, WeightUpdate::kAfterGradient}}));
static_assert(same_enums<v1::AmbiguitySet, AmbiguitySet>(v1::AmbiguitySet_MAX,
                                                         {{v1::AMBIGUITY_SET_SIMPLEX, AmbiguitySet::kSimplex},
                                                          {v1::AMBIGUITY_SET_CVAR, AmbiguitySet::kCvar},
                                                          {v1::AMBIGUITY_SET_CHI_SQUARE, AmbiguitySet::kChiSquare},
                                                          {v1::AMBIGUITY_SET_KL, AmbiguitySet::kKl}}));
static_assert(same_enums<v1::Baseline, Baseline>(v1::Baseline_MAX,
                                                 {{v1::BASELINE_NONE, Baseline::kNone},
                                                  {v1::BASELINE_LABEL_ENTROPY, Baseline::kLabelEntropy},
                                                  {v1::BASELINE_GIVEN, Baseline::kGiven}}));
static_assert(same_enums<v1::WeightSync, WeightOrigin>(v1::WeightSync_MAX,
                                                       {{v1::WEIGHT_SYNC_COORDINATOR, WeightOrigin::kCoordinator},
                                                        {v1::WEIGHT_SYNC_SPECULATIVE, WeightOrigin::kSpeculative}}));

namespace {

// The one parameter of an ambiguity set: required with it, refused with any other.
struct SetParameter {
  AmbiguitySet owner;
  const char* field;
  RealRange range;
  double RobustSettings::*setting;
  bool (v1::RobustSpec::*has)() const;
  double (v1::RobustSpec::*get)() const;
  void (v1::RobustSpec::*set)(double);
};
constexpr RealRange kShare{.at_lowest = Bound::kExcluded, .highest = 1, .at_highest = Bound::kIncluded};
using Spec = v1::RobustSpec;
constexpr SetParameter kSetParameters[] = {
    {AmbiguitySet::kCvar, "robust.kappa", kShare, &RobustSettings::kappa, &Spec::has_kappa, &Spec::kappa,
     &Spec::set_kappa},
    {AmbiguitySet::kChiSquare, "robust.rho", kNotNegative, &RobustSettings::rho, &Spec::has_rho, &Spec::rho,
     &Spec::set_rho},
    {AmbiguitySet::kKl, "robust.tau", kPositive, &RobustSettings::tau, &Spec::has_tau, &Spec::tau, &Spec::set_tau}};

std::string name_of(AmbiguitySet set) { return config_enum_name(set, *v1::AmbiguitySet_descriptor()); }

PlateauSettings step_plateau(const v1::RobustSpec& spec) {
  constexpr RealRange kFactor{.at_lowest = Bound::kExcluded, .highest = 1, .at_highest = Bound::kIncluded};
  constexpr RealRange kThreshold{.highest = 1};
  PlateauSettings plateau;
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

void set_ambiguity_set(RobustSettings& settings, const v1::RobustSpec& spec) {
  set_enum(settings.ambiguity_set, "robust.ambiguity_set", spec.ambiguity_set(), v1::AmbiguitySet_descriptor());
  for (const SetParameter& parameter : kSetParameters) {
    const bool is_given = (spec.*parameter.has)(), is_owner = settings.ambiguity_set == parameter.owner;
    const std::string field = parameter.field, with_owner = " robust.ambiguity_set " + name_of(parameter.owner);
    if (is_given && !is_owner) refuse_combination(field + " needs" + with_owner + "; remove it or set that");
    if (!is_given && is_owner) refuse_combination(field + " is missing, expected it with" + with_owner);
  }
  for (const SetParameter& parameter : kSetParameters) {
    if (!(spec.*parameter.has)()) continue;
    settings.*parameter.setting = checked_real(parameter.field, (spec.*parameter.get)(), parameter.range);
  }
}

// What a closed form has not: steps, and a form in the authors' program.
void check_closed_form(const v1::RobustSpec& spec, const RobustSettings& settings) {
  if (settings.ambiguity_set == AmbiguitySet::kSimplex) return;
  const std::string with_set = " robust.ambiguity_set " + name_of(settings.ambiguity_set);
  const auto refuse_if = [&](bool is_given, const char* field) {
    if (!is_given) return;
    refuse_combination(std::string(field) + " has no use with" + with_set + "; remove it, or set the simplex");
  };
  refuse_if(spec.has_step_size(), "robust.step_size");
  refuse_if(spec.has_step_factor(), "robust.step_factor");
  refuse_if(spec.has_step_patience(), "robust.step_patience");
  refuse_if(spec.has_step_threshold(), "robust.step_threshold");
  refuse_if(spec.has_step_minimum(), "robust.step_minimum");
  refuse_if(spec.paper_compat(), "robust.paper_compat");
  // Its gradient is that of sum_g w_g p_g L_g, which the weights are not the worst of.
  if (settings.mode == RobustMode::kGroupRobust && settings.estimator == Estimator::kBatchSum) {
    refuse_combination("robust.estimator is batch_sum, expected unbiased, batch_mean or dataset_scaled with" +
                       with_set);
  }
}

void set_baseline(RobustConfig& config, const v1::RobustSpec& spec) {
  set_enum(config.baseline, "robust.baseline", spec.baseline(), v1::Baseline_descriptor());
  config.group_baselines = checked_group_numbers("robust.group_baselines", spec.group_baselines(), kFinite);
  const bool is_given = config.baseline == Baseline::kGiven;
  if (is_given && config.group_baselines.empty()) {
    refuse_combination("robust.group_baselines is missing, expected it with robust.baseline given");
  }
  if (!is_given && !config.group_baselines.empty()) {
    refuse_combination("robust.group_baselines needs robust.baseline given; remove it or set that");
  }
}

// The labels' entropy bounds a loss of h alone that is a proper score of the label.
void check_has_floor(const LossConfig& loss) {
  const std::string with_entropy = " with robust.baseline label_entropy";
  if (!traits_of(loss.type).has_label_floor) {
    refuse_combination("loss.type is " + std::string(traits_of(loss.type).name) + ", expected " +
                       losses_with(&LossTraits::has_label_floor) + with_entropy + "; or set baseline given");
  }
  if (loss.sft_weight != 0) {
    refuse_combination("loss.sft_weight does not go" + with_entropy + "; remove it, or set baseline given");
  }
}

void resolve_step_plateau(const PlateauSettings& plateau, v1::RobustSpec& spec) {
  if (plateau.factor == 1) return;
  spec.set_step_factor(plateau.factor);
  spec.set_step_patience(plateau.patience);
  spec.set_step_threshold(plateau.threshold);
  spec.set_step_minimum(plateau.smallest);
}

void resolve_ambiguity_set(const RobustConfig& config, v1::RobustSpec& spec) {
  const RobustSettings& settings = config.settings;
  spec.set_ambiguity_set(message_enum<v1::AmbiguitySet>(settings.ambiguity_set));
  for (const SetParameter& parameter : kSetParameters) {
    if (settings.ambiguity_set == parameter.owner) (spec.*parameter.set)(settings.*parameter.setting);
  }
  if (settings.ambiguity_set != AmbiguitySet::kSimplex) return;
  spec.set_step_size(settings.step_size);
  resolve_step_plateau(settings.step_plateau, spec);
}

}  // namespace

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
  settings.step_plateau = step_plateau(spec);
  set_ambiguity_set(settings, spec);
  check_closed_form(spec, settings);
  set_baseline(config, spec);
  return config;
}

void check_robust_combinations(const JobConfig& config) {
  const RobustConfig& robust = config.robust;
  if (robust.baseline == Baseline::kLabelEntropy) check_has_floor(config.loss);
  if (robust.baseline != Baseline::kNone && robust.paper_compat) {
    refuse_combination("robust.baseline does not go with robust.paper_compat; remove one of them");
  }
  if (!robust.importance_weights.empty() && robust.settings.mode != RobustMode::kImportance) {
    refuse_combination("robust.importance_weights needs robust.mode importance; remove them or set the mode");
  }
}

void resolve_robust(const JobConfig& config, v1::RobustSpec& spec) {
  const RobustConfig& robust = config.robust;
  const RobustSettings& settings = robust.settings;
  spec.Clear();
  spec.set_mode(message_enum<v1::RobustMode>(settings.mode));
  if (robust.paper_compat) spec.set_paper_compat(true);
  spec.set_weight_sync(message_enum<v1::WeightSync>(robust.weight_sync));
  if (robust.baseline != Baseline::kNone) spec.set_baseline(message_enum<v1::Baseline>(robust.baseline));
  spec.mutable_group_baselines()->insert(robust.group_baselines.begin(), robust.group_baselines.end());
  if (settings.mode == RobustMode::kNone) return;
  spec.set_estimator(message_enum<v1::Estimator>(settings.estimator));
  spec.mutable_importance_weights()->insert(robust.importance_weights.begin(), robust.importance_weights.end());
  if (settings.mode != RobustMode::kGroupRobust) return;
  resolve_ambiguity_set(robust, spec);
  spec.set_update(message_enum<v1::WeightUpdate>(settings.update));
  spec.set_adjustment(settings.adjustment);
  spec.set_trade_off(settings.trade_off);
  spec.set_min_weight(settings.min_weight);
}

}  // namespace equipoise
