// Gemma, Gemma 2 and the text models of Gemma 3. Source: transformers 5.24, models/gemma*/modeling_gemma*.py.
#include <cmath>

#include "worker/model/families/family.h"
#include "worker/model/families/rotary_fields.h"
#include "worker/model/families/shared_fields.h"

namespace equipoise {
namespace {

DecoderConfig read_what_all_share(ConfigFields& fields) {
  DecoderConfig config;
  read_sizes(fields, Derived::kNothing, config);
  config.norm_scale = NormScale::kOnePlusWeight;
  config.activation = Activation::kGeluTanh;
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
  config.attention_scale = usual_attention_scale(config);
  config.qkv_bias = config.output_bias = fields.flag("attention_bias").value_or(false);
  config.tied_head = fields.flag("tie_word_embeddings").value_or(true);
  return config;
}

// Gemma 2 and 3 normalise around each part, scale by a number of their own, and let layers alternate.
DecoderConfig read_second_generation(ConfigFields& fields) {
  constexpr double kDefaultScalar = 256;
  DecoderConfig config = read_what_all_share(fields);
  config.norm_placement = NormPlacement::kInputAndResult;
  config.attention_scale = 1 / std::sqrt(fields.positive("query_pre_attn_scalar").value_or(kDefaultScalar));
  config.activation = read_activation(fields, "hidden_activation", Activation::kGeluTanh);
  if (read_activation(fields, "hidden_act", config.activation) != config.activation) {
    fields.refuse("hidden_act", "the same as hidden_activation");
  }
  return config;
}

// Every `period`-th layer sees everything.
std::vector<bool> sliding_but_every(std::int64_t period, std::int64_t num_layers) {
  std::vector<bool> slides;
  for (std::int64_t layer = 1; layer <= num_layers; ++layer) slides.push_back(layer % period != 0);
  return slides;
}

// transformers 4.5x wrote the pattern with an underscore beside the list that had replaced it.
std::int64_t sliding_window_pattern(ConfigFields& fields) {
  constexpr std::int64_t kDefaultPattern = 6;
  const auto old = fields.optional_size("_sliding_window_pattern");
  const std::int64_t pattern = fields.optional_size("sliding_window_pattern").value_or(kDefaultPattern);
  if (old && *old != pattern && !fields.texts("layer_types")) {
    fields.refuse("_sliding_window_pattern", std::to_string(pattern) + ", as there is no layer_types");
  }
  return pattern;
}

constexpr std::int64_t kDefaultWindow = 4096;

}  // namespace

// "gelu" under hidden_act is what the first releases wrote; transformers reads it as the tanh approximation.
DecoderConfig read_gemma(ConfigFields& fields) {
  DecoderConfig config = read_what_all_share(fields);
  const auto old = fields.text("hidden_act");
  if (old && *old != "gelu" && *old != "gelu_pytorch_tanh") fields.refuse("hidden_act", "gelu_pytorch_tanh");
  fields.only("hidden_activation", "gelu_pytorch_tanh");
  set_one_layer_kind(fields, std::nullopt, read_rotary(fields, config.head_dim), config);
  return config;
}

DecoderConfig read_gemma2(ConfigFields& fields) {
  constexpr double kDefaultAttentionCap = 50, kDefaultLogitCap = 30;
  constexpr std::int64_t kPeriod = 2;
  DecoderConfig config = read_second_generation(fields);
  config.attention_softcap = read_softcap(fields, "attn_logit_softcapping", kDefaultAttentionCap);
  config.logit_softcap = read_softcap(fields, "final_logit_softcapping", kDefaultLogitCap);
  const auto window = read_window(fields, kDefaultWindow);
  const auto old_window = fields.optional_size("sliding_window_size");
  if (old_window && old_window != window) fields.refuse("sliding_window_size", "the same as sliding_window");
  const RotaryTable rotary = read_rotary(fields, config.head_dim);
  const auto slides = read_sliding_layers(fields, sliding_but_every(kPeriod, config.num_layers), LayerTypes::kFree);
  set_layer_kinds(fields, slides, window, rotary, rotary, config);
  return config;
}

// attn_logit_softcapping is not taken: transformers has the field and does not use it, so that only null is certain.
DecoderConfig read_gemma3_text(ConfigFields& fields) {
  DecoderConfig config = read_second_generation(fields);
  config.query_key_norm = true;
  config.logit_softcap = fields.positive("final_logit_softcapping");
  const auto [full, sliding] = read_rotary_by_layer_type(fields, config.head_dim);
  const auto slides = read_sliding_layers(fields, sliding_but_every(sliding_window_pattern(fields), config.num_layers),
                                          LayerTypes::kFree);
  set_layer_kinds(fields, slides, read_window(fields, kDefaultWindow), full, sliding, config);
  return config;
}

}  // namespace equipoise
