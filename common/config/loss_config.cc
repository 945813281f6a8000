#include "common/config/loss_config.h"

#include <algorithm>

#include "common/config/field_check.h"
#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

static_assert(kLossTraits.size() == v1::LossType_MAX, "a loss of the message has no row, or the other way round");
static_assert(std::ranges::all_of(kLossTraits, [](const LossTraits& row) { return &traits_of(row.type) == &row; }));
static_assert(same_enums<v1::SftAverage, SftAverage>(v1::SftAverage_MAX,
                                                     {{v1::SFT_AVERAGE_TOKEN, SftAverage::kToken},
                                                      {v1::SFT_AVERAGE_SEQUENCE, SftAverage::kSequence}}));

namespace {

std::string name_of(LossType type) { return std::string(traits_of(type).name); }

void check_label_noise(const LossConfig& loss) {
  if (loss.label_noise.empty()) return;
  if (loss.type == LossType::kRobust) {
    refuse_combination(
        "loss.label_noise does not go with loss.type robust, whose label_smoothing is the noise of all;"
        " set loss.type dpo");
  }
  if (!traits_of(loss.type).takes_label_noise) {
    refuse_combination("loss.label_noise needs loss.type " + losses_with(&LossTraits::takes_label_noise) + ", not " +
                       name_of(loss.type) + "; remove it");
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

std::string losses_with(bool LossTraits::*trait) {
  std::vector<std::string_view> names;
  for (const LossTraits& row : kLossTraits) {
    if (row.*trait) names.push_back(row.name);
  }
  std::string list;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) list += i + 1 == names.size() ? " or " : ", ";
    list += names[i];
  }
  return list;
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
  if (loss.label_smoothing != 0 && !traits_of(loss.type).takes_label_smoothing) {
    refuse_combination("loss.label_smoothing needs loss.type " + losses_with(&LossTraits::takes_label_smoothing) +
                       "; remove it, or set it to 0");
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
void set_default_sft_average(LossConfig& loss, const v1::LossSpec& spec, RobustMode mode) {
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

void resolve_loss(const JobConfig& config, v1::LossSpec& spec) {
  const LossConfig& loss = config.loss;
  const bool is_sft = loss.type == LossType::kSft;
  spec.set_type(message_enum<v1::LossType>(loss.type));
  if (is_sft) spec.set_sft_average(message_enum<v1::SftAverage>(loss.sft_average));
  if (!is_sft) spec.set_beta(loss.beta);
  if (traits_of(loss.type).takes_label_smoothing) spec.set_label_smoothing(loss.label_smoothing);
  if (config.log_linear) return;
  spec.set_length_normalized(loss.length_normalized);
  spec.set_reference_free(loss.reference_free);
  if (!is_sft) spec.set_sft_weight(loss.sft_weight);
}

}  // namespace equipoise
