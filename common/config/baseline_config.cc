#include "common/config/baseline_config.h"

#include <string>

#include "common/config/field_check.h"
#include "common/config/loss_config.h"
#include "common/config/set_enum.h"

namespace equipoise {
namespace {

// The labels' entropy bounds a loss of h alone that is a proper score of the label.
void check_has_floor(const LossConfig& loss) {
  const std::string with_entropy = " with robust.baseline label_entropy";
  if (loss.type == LossType::kSft || loss.type == LossType::kHinge) {
    refuse_combination("loss.type is " + loss_type_name(loss.type) + ", expected dpo, ipo or robust" + with_entropy +
                       "; or set baseline given");
  }
  if (loss.sft_weight != 0) {
    refuse_combination("loss.sft_weight does not go" + with_entropy + "; remove it, or set baseline given");
  }
}

}  // namespace

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

void check_baseline_combinations(const JobConfig& config) {
  const RobustConfig& robust = config.robust;
  if (robust.baseline == Baseline::kLabelEntropy) check_has_floor(config.loss);
  if (robust.baseline != Baseline::kNone && robust.paper_compat) {
    refuse_combination("robust.baseline does not go with robust.paper_compat; remove one of them");
  }
  // The schedule compares losses by their ratio.
  if (robust.settings.step_plateau.factor < 1 && corrects_label_noise(config.loss)) {
    refuse_combination(
        "robust.step_factor below 1 needs losses that are not negative, which loss.type robust and"
        " loss.label_noise do not give; remove one of them");
  }
}

}  // namespace equipoise
