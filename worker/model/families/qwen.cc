// Qwen 2, 2.5 and 3. Source: transformers 5.24, models/qwen2/modeling_qwen2.py, models/qwen3/modeling_qwen3.py.
#include "worker/model/families/family.h"
#include "worker/model/families/rotary_fields.h"
#include "worker/model/families/shared_fields.h"

namespace equipoise {
namespace {

// From layer max_window_layers on layers slide, where use_sliding_window says so.
void read_layers(ConfigFields& fields, DecoderConfig& config) {
  constexpr std::int64_t kWindow = 4096, kFirst = 28;
  auto window = read_window(fields, kWindow);
  const std::int64_t first = fields.count("max_window_layers").value_or(kFirst);
  if (!fields.flag("use_sliding_window").value_or(false)) window.reset();
  std::vector<bool> slides;
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) slides.push_back(window && layer >= first);
  slides = read_sliding_layers(fields, std::move(slides), LayerTypes::kFree);
  const RotaryTable rotary = read_rotary(fields, config.head_dim);
  set_layer_kinds(fields, slides, window, rotary, rotary, config);
}

DecoderConfig read_any_qwen(ConfigFields& fields, Derived derived) {
  DecoderConfig config = read_gated_silu(fields, derived);
  read_layers(fields, config);
  return config;
}

}  // namespace

DecoderConfig read_qwen2(ConfigFields& fields) {
  DecoderConfig config = read_any_qwen(fields, Derived::kHeadDim);
  config.qkv_bias = true;
  fields.only("use_mrope", false);
  return config;
}

DecoderConfig read_qwen3(ConfigFields& fields) {
  DecoderConfig config = read_any_qwen(fields, Derived::kNothing);
  config.query_key_norm = true;
  config.qkv_bias = config.output_bias = fields.flag("attention_bias").value_or(false);
  return config;
}

}  // namespace equipoise
