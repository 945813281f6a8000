#include "worker/model/parameter_layout.h"

namespace equipoise {
namespace {

struct LinearShape {
  std::int64_t outputs, inputs;
};

class Layout {
 public:
  void norm(const std::string& name, std::int64_t width) { shapes_.push_back({name + ".weight", {width}}); }
  void linear(const std::string& name, LinearShape shape, bool bias) {
    shapes_.push_back({name + ".weight", {shape.outputs, shape.inputs}});
    if (bias) shapes_.push_back({name + ".bias", {shape.outputs}});
  }
  std::vector<ParameterShape> take() { return std::move(shapes_); }

 private:
  std::vector<ParameterShape> shapes_;
};

void add_layer(const DecoderConfig& config, const std::string& prefix, Layout& layout) {
  const std::int64_t hidden = config.hidden_size, wide = config.intermediate_size;
  const std::int64_t q_width = config.num_heads * config.head_dim, kv_width = config.num_kv_heads * config.head_dim;
  layout.norm(prefix + "input_layernorm", hidden);
  layout.linear(prefix + "self_attn.q_proj", {q_width, hidden}, config.attention_bias);
  layout.linear(prefix + "self_attn.k_proj", {kv_width, hidden}, config.attention_bias);
  layout.linear(prefix + "self_attn.v_proj", {kv_width, hidden}, config.attention_bias);
  layout.linear(prefix + "self_attn.o_proj", {hidden, q_width}, config.attention_bias);
  layout.norm(prefix + "post_attention_layernorm", hidden);
  layout.linear(prefix + "mlp.gate_proj", {wide, hidden}, false);
  layout.linear(prefix + "mlp.up_proj", {wide, hidden}, false);
  layout.linear(prefix + "mlp.down_proj", {hidden, wide}, false);
}

}  // namespace

std::string layer_prefix(std::int64_t layer) { return "model.layers." + std::to_string(layer) + "."; }

std::vector<ParameterShape> parameter_layout(const DecoderConfig& config) {
  Layout layout;
  layout.linear("model.embed_tokens", {config.vocab_size, config.hidden_size}, false);
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) add_layer(config, layer_prefix(layer), layout);
  layout.norm("model.norm", config.hidden_size);
  if (!config.tied_head) layout.linear("lm_head", {config.vocab_size, config.hidden_size}, false);
  return layout.take();
}

}  // namespace equipoise
