// Section `model` of a job.
#pragma once

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Throws std::invalid_argument as make_job_config.
ModelConfig model_config(const v1::ModelSpec& spec);

// Section `model.lora`. Throws as model_config.
LoraSettings lora_settings(const v1::LoraSpec& spec);
void resolve_lora(const LoraSettings& settings, v1::LoraSpec& spec);

}  // namespace equipoise
