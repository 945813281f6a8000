#include "common/config/model_config.h"

#include "common/config/field_check.h"
#include "common/config/set_enum.h"

namespace equipoise {
namespace {

bool is_dropout_alone(const v1::LoraSpec& spec) {
  v1::LoraSpec others = spec;
  others.clear_dropout();
  return spec.has_dropout() && others.ByteSizeLong() == 0;
}

}  // namespace

ModelConfig model_config(const v1::ModelSpec& spec) {
  ModelConfig config;
  config.path = checked_path("model.path", spec.path());
  if (spec.has_reference()) config.reference = checked_path("model.reference", spec.reference());
  if (spec.has_chat_template()) config.chat_template = checked_path("model.chat_template", spec.chat_template());
  if (spec.has_adapter()) config.adapter = checked_path("model.adapter", spec.adapter());
  if (spec.has_lora()) {
    const LoraSettings settings = lora_settings(spec.lora());
    if (!config.adapter) {
      config.lora = settings;
    } else if (is_dropout_alone(spec.lora())) {
      config.adapter_dropout = settings.dropout;
    } else {
      refuse_combination(
          "model has both lora and adapter; remove lora (adapter_config.json has its settings), or leave nothing but "
          "dropout in it, or remove adapter");
    }
  }
  if (spec.has_reference_cache()) config.reference_cache = spec.reference_cache();
  set_enum(config.dtype, "model.dtype", spec.dtype(), v1::DType_descriptor());
  set_enum(config.quantization, "model.quantization", spec.quantization(), v1::Quantization_descriptor());
  if (config.quantization != Quantization::kNone && !config.lora && !config.adapter) {
    refuse_combination(
        "model.quantization freezes the model's weights; give lora or adapter, which is then what is trained");
  }
  return config;
}

}  // namespace equipoise
