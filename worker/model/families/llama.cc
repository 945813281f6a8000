// Llama (2, 3, 3.x and what shares its model_type) and Mistral.
// Source: transformers 5.24, models/llama/modeling_llama.py, models/mistral/modeling_mistral.py.
#include "worker/model/families/family.h"
#include "worker/model/families/rotary_fields.h"
#include "worker/model/families/shared_fields.h"

namespace equipoise {

// pretraining_tp says into how many products a matrix product was cut: the same sum.
DecoderConfig read_llama(ConfigFields& fields) {
  DecoderConfig config = read_gated_silu(fields, Derived::kHeadDimAndKeyValueHeads);
  config.qkv_bias = config.output_bias = fields.flag("attention_bias").value_or(false);
  config.mlp_bias = fields.flag("mlp_bias").value_or(false);
  fields.ignore({"pretraining_tp"});
  fields.only("rope_interleaved", false);
  set_one_layer_kind(fields, std::nullopt, read_rotary(fields, config.head_dim), config);
  return config;
}

DecoderConfig read_mistral(ConfigFields& fields) {
  constexpr std::int64_t kDefaultWindow = 4096;
  DecoderConfig config = read_gated_silu(fields, Derived::kHeadDim);
  fields.only("attention_bias", false);
  fields.only("mlp_bias", false);
  set_one_layer_kind(fields, read_window(fields, kDefaultWindow), read_rotary(fields, config.head_dim), config);
  return config;
}

}  // namespace equipoise
