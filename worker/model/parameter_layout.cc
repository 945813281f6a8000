#include "worker/model/parameter_layout.h"

#include <utility>

namespace equipoise {
namespace {

std::vector<LinearShape> query_key_value(const DecoderConfig& config, const std::string& prefix) {
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t q_width = config.num_heads * config.head_dim, kv_width = config.num_kv_heads * config.head_dim;
  if (config.fused_projections) return {{prefix + "qkv_proj", q_width + 2 * kv_width, hidden, config.qkv_bias}};
  return {{prefix + "q_proj", q_width, hidden, config.qkv_bias},
          {prefix + "k_proj", kv_width, hidden, config.qkv_bias},
          {prefix + "v_proj", kv_width, hidden, config.qkv_bias}};
}

std::vector<LinearShape> gate_up(const DecoderConfig& config, const std::string& prefix) {
  const std::int64_t hidden = config.hidden_size, wide = config.intermediate_size;
  if (config.fused_projections) return {{prefix + "gate_up_proj", 2 * wide, hidden, config.mlp_bias}};
  return {{prefix + "gate_proj", wide, hidden, config.mlp_bias}, {prefix + "up_proj", wide, hidden, config.mlp_bias}};
}

class ShapeList {
 public:
  void norm(const std::string& name, std::int64_t width) {
    if (!name.empty()) shapes_.push_back({name, {width}});
  }
  void linear(const LinearShape& linear) {
    shapes_.push_back({linear.name + ".weight", {linear.outputs, linear.inputs}});
    if (linear.has_bias) shapes_.push_back({linear.name + ".bias", {linear.outputs}});
  }
  void matrix(const std::string& name, std::int64_t rows, std::int64_t columns) {
    shapes_.push_back({name, {rows, columns}});
  }
  std::vector<ParameterShape> take() { return std::move(shapes_); }

 private:
  std::vector<ParameterShape> shapes_;
};

void add_layer(const DecoderConfig& config, const LayerLayout& layer, ShapeList& shapes) {
  shapes.norm(layer.attention_norm, config.hidden_size);
  for (const LinearShape& linear : layer.query_key_value) shapes.linear(linear);
  shapes.norm(layer.query_norm, config.head_dim);
  shapes.norm(layer.key_norm, config.head_dim);
  shapes.linear(layer.attention_output);
  shapes.norm(layer.attention_result_norm, config.hidden_size);
  shapes.norm(layer.mlp_norm, config.hidden_size);
  for (const LinearShape& linear : layer.gate_up) shapes.linear(linear);
  shapes.linear(layer.down);
  shapes.norm(layer.mlp_result_norm, config.hidden_size);
}

}  // namespace

LayerLayout layer_layout(const DecoderConfig& config, std::int64_t layer) {
  const std::string prefix = config.name_prefix + "layers." + std::to_string(layer) + ".";
  const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
  const std::int64_t q_width = config.num_heads * config.head_dim;
  LayerLayout layout;
  layout.attention_norm = prefix + "input_layernorm.weight";
  layout.query_key_value = query_key_value(config, attention);
  layout.attention_output = {attention + "o_proj", config.hidden_size, q_width, config.output_bias};
  layout.gate_up = gate_up(config, mlp);
  layout.down = {mlp + "down_proj", config.hidden_size, config.intermediate_size, config.mlp_bias};
  if (config.query_key_norm) {
    layout.query_norm = attention + "q_norm.weight";
    layout.key_norm = attention + "k_norm.weight";
  }
  // The same name for two places: Gemma 2's files normalise attention's result where others normalise the next input.
  const std::string post_attention = prefix + "post_attention_layernorm.weight";
  if (config.norm_placement == NormPlacement::kInput) {
    layout.mlp_norm = post_attention;
  } else {
    layout.attention_result_norm = post_attention;
    layout.mlp_norm = prefix + "pre_feedforward_layernorm.weight";
    layout.mlp_result_norm = prefix + "post_feedforward_layernorm.weight";
  }
  return layout;
}

std::string embedding_name(const DecoderConfig& config) { return config.name_prefix + "embed_tokens.weight"; }

std::string final_norm_name(const DecoderConfig& config) { return config.name_prefix + "norm.weight"; }

std::vector<ParameterShape> parameter_layout(const DecoderConfig& config) {
  ShapeList shapes;
  shapes.matrix(embedding_name(config), config.vocab_size, config.hidden_size);
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    add_layer(config, layer_layout(config, layer), shapes);
  }
  shapes.norm(final_norm_name(config), config.hidden_size);
  if (!config.tied_head) shapes.matrix(kHeadName, config.vocab_size, config.hidden_size);
  return shapes.take();
}

}  // namespace equipoise
