#include "common/config/model_config.h"

#include "common/config/field_check.h"
#include "common/config/set_enum.h"

namespace equipoise {

ModelConfig model_config(const v1::ModelSpec& spec) {
  ModelConfig config;
  config.path = checked_path("model.path", spec.path());
  if (spec.has_reference()) config.reference = checked_path("model.reference", spec.reference());
  if (spec.has_chat_template()) config.chat_template = checked_path("model.chat_template", spec.chat_template());
  if (spec.has_lora()) config.lora = lora_settings(spec.lora());
  if (spec.has_adapter()) config.adapter = checked_path("model.adapter", spec.adapter());
  if (config.lora && config.adapter) {
    refuse_combination(
        "model has both lora and adapter; remove lora (adapter_config.json has its settings), or adapter");
  }
  if (spec.has_reference_cache()) config.reference_cache = spec.reference_cache();
  set_enum(config.dtype, "model.dtype", spec.dtype(), v1::DType_descriptor());
  return config;
}

}  // namespace equipoise
