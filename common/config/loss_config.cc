#include "common/config/loss_config.h"

#include "common/config/field_check.h"
#include "common/config/set_enum.h"

namespace equipoise {
namespace {

void check_label_noise(const LossConfig& loss) {
  if (loss.label_noise.empty()) return;
  if (loss.type == LossType::kRobust) {
    refuse_combination(
        "loss.label_noise does not go with loss.type robust, whose label_smoothing is the noise of all;"
        " set loss.type dpo");
  }
  if (loss.type != LossType::kDpo && loss.type != LossType::kIpo) {
    refuse_combination("loss.label_noise needs loss.type dpo or ipo, not " + loss_type_name(loss.type) + "; remove it");
  }
}

void check_sft_weight(const LossConfig& loss) {
  if (loss.sft_weight == 0) return;
  if (loss.type == LossType::kSft) refuse_combination("loss.sft_weight has no use with loss.type sft; remove it");
  if (corrects_label_noise(loss)) {
    refuse_combination("loss.sft_weight does not go with " +
                       std::string(loss.type == LossType::kRobust ? "loss.type robust" : "loss.label_noise") +
                       ": its term knows no label noise; remove one of them");
  }
}

}  // namespace

std::string loss_type_name(LossType type) {
  return short_enum_name(*v1::LossType_descriptor()->FindValueByNumber(message_enum<v1::LossType>(type)));
}

LossConfig loss_config(const v1::LossSpec& spec) {
  constexpr RealRange kBelowHalf{.highest = 0.5};
  LossConfig config;
  set_enum(config.type, "loss.type", spec.type(), v1::LossType_descriptor());
  set_enum(config.sft_average, "loss.sft_average", spec.sft_average(), v1::SftAverage_descriptor());
  if (spec.has_beta()) config.beta = checked_real("loss.beta", spec.beta(), kPositive);
  if (spec.has_label_smoothing()) {
    config.label_smoothing = checked_real("loss.label_smoothing", spec.label_smoothing(), kBelowHalf);
  }
  if (spec.has_length_normalized()) config.length_normalized = spec.length_normalized();
  if (spec.has_reference_free()) config.reference_free = spec.reference_free();
  if (spec.has_sft_weight()) config.sft_weight = checked_real("loss.sft_weight", spec.sft_weight(), kNotNegative);
  config.label_noise = checked_group_numbers("loss.label_noise", spec.label_noise(), kBelowHalf);
  return config;
}

bool corrects_label_noise(const LossConfig& loss) {
  return loss.type == LossType::kRobust || !loss.label_noise.empty();
}

void check_loss_combinations(const v1::JobSpec& spec, const LossConfig& loss) {
  if (loss.label_smoothing != 0 && loss.type != LossType::kDpo && loss.type != LossType::kRobust) {
    refuse_combination("loss.label_smoothing needs loss.type dpo or robust; remove it, or set it to 0");
  }
  check_label_noise(loss);
  check_sft_weight(loss);
  if (loss.type != LossType::kSft && spec.loss().sft_average() != 0) {
    refuse_combination("loss.sft_average needs loss.type sft; remove it");
  }
  if (loss.reference_free && spec.model().has_reference_cache()) {
    refuse_combination("model.reference_cache has no use with loss.reference_free true; remove it");
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
  if (spec.model().has_reference_cache()) {
    refuse_combination("model.reference_cache has no use with loss.type sft; remove it");
  }
}

// A group's loss is a mean over its pairs, so a token mean over the batch cannot be split into group losses.
void settle_sft_average(LossConfig& loss, const v1::LossSpec& spec, RobustMode mode) {
  if (loss.type != LossType::kSft || mode == RobustMode::kNone) return;
  if (spec.sft_average() == v1::SFT_AVERAGE_TOKEN) {
    refuse_combination("loss.sft_average is token, expected sequence, as robust.mode is not none");
  }
  loss.sft_average = SftAverage::kSequence;
}

std::vector<std::string> differences_from_trl(const LossConfig& loss) {
  std::vector<std::string> sentences;
  if (loss.type == LossType::kIpo && !loss.length_normalized) {
    sentences.emplace_back(
        "loss.type ipo takes sums over the answer's tokens, as the paper has it; TRL's divides them by the answer's "
        "length, which is loss.length_normalized: true");
  }
  if (loss.type == LossType::kDpo && loss.label_smoothing > 0) {
    sentences.emplace_back("loss.label_smoothing changes loss.type dpo; TRL's sigmoid ignores it");
  }
  return sentences;
}

}  // namespace equipoise
