#include "common/config/robust_config.h"

#include <string>

#include "common/config/baseline_config.h"
#include "common/config/field_check.h"
#include "common/config/set_enum.h"

namespace equipoise {
namespace {

std::string name_of(AmbiguitySet set) {
  const v1::AmbiguitySet value = message_enum<v1::AmbiguitySet>(set);
  return short_enum_name(*v1::AmbiguitySet_descriptor()->FindValueByNumber(value));
}

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

// A parameter of one ambiguity set: there with it, absent with any other.
void check_belongs(const std::string& field, bool is_given, AmbiguitySet chosen, AmbiguitySet owner) {
  const std::string with_owner = " robust.ambiguity_set " + name_of(owner);
  if (is_given && chosen != owner) refuse_combination(field + " needs" + with_owner + "; remove it or set that");
  if (!is_given && chosen == owner) refuse_combination(field + " is missing, expected it with" + with_owner);
}

void set_ambiguity_set(RobustSettings& settings, const v1::RobustSpec& spec) {
  constexpr RealRange kKappa{.at_lowest = Bound::kExcluded, .highest = 1, .at_highest = Bound::kIncluded};
  set_enum(settings.ambiguity_set, "robust.ambiguity_set", spec.ambiguity_set(), v1::AmbiguitySet_descriptor());
  check_belongs("robust.kappa", spec.has_kappa(), settings.ambiguity_set, AmbiguitySet::kCvar);
  check_belongs("robust.rho", spec.has_rho(), settings.ambiguity_set, AmbiguitySet::kChiSquare);
  check_belongs("robust.tau", spec.has_tau(), settings.ambiguity_set, AmbiguitySet::kKl);
  if (spec.has_kappa()) settings.kappa = checked_real("robust.kappa", spec.kappa(), kKappa);
  if (spec.has_rho()) settings.rho = checked_real("robust.rho", spec.rho(), kNotNegative);
  if (spec.has_tau()) settings.tau = checked_real("robust.tau", spec.tau(), kPositive);
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

}  // namespace equipoise
