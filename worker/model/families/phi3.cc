// Phi-3, Phi-3.5 and Phi-4 (mini). Source: transformers 5.24, models/phi3/modeling_phi3.py.
#include "worker/model/families/family.h"
#include "worker/model/families/rotary_fields.h"
#include "worker/model/families/shared_fields.h"

namespace equipoise {

DecoderConfig read_phi3(ConfigFields& fields) {
  DecoderConfig config;
  read_sizes(fields, Derived::kHeadDimAndKeyValueHeads, config);
  config.attention_scale = usual_attention_scale(config);
  config.activation = read_activation(fields, "hidden_act", Activation::kSilu);
  config.fused_projections = true;
  config.tied_head = fields.flag("tie_word_embeddings").value_or(false);
  for (const char* name : {"attention_bias", "mlp_bias", "lm_head_bias"}) fields.only(name, false);
  // What Phi-4's files say of layers that another implementation could skip.
  for (const char* name : {"full_attn_mod", "interpolate_factor"}) fields.only(name, 1);
  fields.optional_size("original_max_position_embeddings");  // means something with longrope only
  const RotaryTable rotary = read_rotary(fields, config.head_dim, RotaryKind::kPhi3);
  set_one_layer_kind(fields, read_window(fields, std::nullopt), rotary, config);
  return config;
}

}  // namespace equipoise
