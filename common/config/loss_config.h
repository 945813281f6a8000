// Section `loss` of a job: its settings, their defaults, ranges and checks. docs/development.md says how a loss is
// added.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/robust/robust_settings.h"

namespace equipoise {

namespace v1 {
class JobSpec;
class LossSpec;
}  // namespace v1
struct JobConfig;

enum class LossType { kDpo, kIpo, kSft, kHinge, kRobust };
enum class SftAverage { kToken, kSequence };

// Which settings a loss goes with.
struct LossTraits {
  LossType type;
  std::string_view name;               // as YAML writes it
  bool takes_label_smoothing = false;  // loss.label_smoothing
  bool takes_label_noise = false;      // loss.label_noise
  bool has_label_floor = false;        // robust.baseline label_entropy: worker/objective/labels.h has its floor
  bool has_log_linear_kernel = false;  // policy.log_linear: common/log_linear/pair_kernel.h has it
};
// A row for each LossType, in its order.
inline constexpr std::array kLossTraits = {
    LossTraits{.type = LossType::kDpo,
               .name = "dpo",
               .takes_label_smoothing = true,
               .takes_label_noise = true,
               .has_label_floor = true,
               .has_log_linear_kernel = true},
    LossTraits{.type = LossType::kIpo,
               .name = "ipo",
               .takes_label_noise = true,
               .has_label_floor = true,
               .has_log_linear_kernel = true},
    LossTraits{.type = LossType::kSft, .name = "sft"},
    LossTraits{.type = LossType::kHinge, .name = "hinge", .has_log_linear_kernel = true},
    LossTraits{.type = LossType::kRobust,
               .name = "robust",
               .takes_label_smoothing = true,
               .has_label_floor = true,
               .has_log_linear_kernel = true}};
constexpr const LossTraits& traits_of(LossType type) { return kLossTraits.at(static_cast<std::size_t>(type)); }

struct LossConfig {
  LossType type = LossType::kDpo;
  double beta = 0.1;
  double label_smoothing = 0.0;
  bool length_normalized = false;
  bool reference_free = false;
  SftAverage sft_average = SftAverage::kToken;
  double sft_weight = 0.0;
  std::map<std::string, double> label_noise = {};  // group name -> share of flipped labels; 0 for the others
};

// Throws std::invalid_argument as make_job_config.
LossConfig loss_config(const v1::LossSpec& spec);

// "dpo, ipo or robust": the losses of a trait.
std::string losses_with(bool LossTraits::*trait);

// A pair's loss is then less a share of the opposite label's, and may be negative.
bool corrects_label_noise(const LossConfig& loss);

// Settings of the loss that contradict each other, the model's or the policy's.
void check_loss_combinations(const v1::JobSpec& spec, const LossConfig& loss);

// What the same settings mean otherwise in TRL 1.16, a sentence each: docs/from-trl.md.
std::vector<std::string> differences_from_trl(const LossConfig& loss);

// The default of sft_average depends on the mode.
void set_default_sft_average(LossConfig& loss, const v1::LossSpec& spec, RobustMode mode);

// Back to the message, every default filled in.
void resolve_loss(const JobConfig& config, v1::LossSpec& spec);

}  // namespace equipoise
