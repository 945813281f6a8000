// Section `loss` of a job.
#pragma once

#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Throws std::invalid_argument as make_job_config.
LossConfig loss_config(const v1::LossSpec& spec);

// As YAML writes it: "dpo".
std::string loss_type_name(LossType type);

// A pair's loss is then less a share of the opposite label's, and may be negative.
bool corrects_label_noise(const LossConfig& loss);

// Settings of the loss that contradict each other or the model's.
void check_loss_combinations(const v1::JobSpec& spec, const LossConfig& loss);

// What the same settings mean otherwise in TRL 1.16, a sentence each: docs/from-trl.md.
std::vector<std::string> differences_from_trl(const LossConfig& loss);

// The default of sft_average depends on the mode.
void settle_sft_average(LossConfig& loss, const v1::LossSpec& spec, RobustMode mode);

}  // namespace equipoise
