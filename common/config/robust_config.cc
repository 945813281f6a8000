#include "common/config/robust_config.h"

#include "common/config/field_check.h"
#include "common/config/set_enum.h"

namespace equipoise {
namespace {

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
  config.step_plateau = step_plateau(spec);
  return config;
}

}  // namespace equipoise
