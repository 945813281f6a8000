#include "worker/model/decoder_layer.h"

#include "worker/model/wide_type.h"

namespace equipoise {

torch::Tensor rms_norm(const DecoderConfig& config, const torch::Tensor& x, const torch::Tensor& weight_W) {
  const torch::Tensor wide = x.to(wide_type(x.scalar_type()));
  const torch::Tensor inverse_rms = (wide.square().mean(-1, true) + config.rms_norm_eps).rsqrt();
  // Rounding to a narrow type comes before the product with w, but after that with 1 + w: as transformers does it.
  switch (config.norm_scale) {
    case NormScale::kWeight:
      return (wide * inverse_rms).to(x.scalar_type()) * weight_W;
    case NormScale::kOnePlusWeight:
      return (wide * inverse_rms * (1 + weight_W.to(wide.scalar_type()))).to(x.scalar_type());
  }
  return {};
}

namespace {

torch::Tensor norm_if_any(const DecoderConfig& config, const torch::Tensor& x, const torch::Tensor& weight_W) {
  return weight_W.defined() ? rms_norm(config, x, weight_W) : x;
}

torch::Tensor attention(const DecoderConfig& config, const DecoderLayer& layer, const ForwardPlan& plan,
                        const torch::Tensor& x_TH) {
  const KindPlan& kind = plan.attention.kinds[layer.kind];
  const std::int64_t q_width = config.num_heads * config.head_dim, kv_width = config.num_kv_heads * config.head_dim;
  const auto projected = project(layer.query_key_value, x_TH, plan.row_key_T, {q_width, kv_width, kv_width});
  const auto heads = [&](std::size_t i, std::int64_t count) { return projected[i].view({-1, count, config.head_dim}); };
  const torch::Tensor q_TND = norm_if_any(config, heads(0, config.num_heads), layer.query_norm_D);
  const torch::Tensor k_TKD = norm_if_any(config, heads(1, config.num_kv_heads), layer.key_norm_D);
  const torch::Tensor attended = attend(config, plan.attention.blocks, kind,
                                        {.q_TND = rotate(q_TND, kind.angles),
                                         .k_TKD = rotate(k_TKD, kind.angles),
                                         .v_TKD = heads(2, config.num_kv_heads)});
  return layer.attention_output(attended, plan.row_key_T);
}

torch::Tensor activate(Activation activation, const torch::Tensor& x) {
  switch (activation) {
    case Activation::kSilu:
      return torch::silu(x);
    case Activation::kGelu:
      return torch::gelu(x);
    case Activation::kGeluTanh:
      return torch::gelu(x, "tanh");
  }
  return {};
}

torch::Tensor feed_forward(const DecoderConfig& config, const DecoderLayer& layer, const ForwardPlan& plan,
                           const torch::Tensor& x_TH) {
  const auto projected =
      project(layer.gate_up, x_TH, plan.row_key_T, {config.intermediate_size, config.intermediate_size});
  return layer.down(activate(config.activation, projected[0]) * projected[1], plan.row_key_T);
}

}  // namespace

torch::Tensor apply_layer(const DecoderConfig& config, const DecoderLayer& layer, const ForwardPlan& plan,
                          const torch::Tensor& x_TH) {
  const torch::Tensor attended_TH = attention(config, layer, plan, rms_norm(config, x_TH, layer.attention_norm_H));
  const torch::Tensor middle_TH = x_TH + norm_if_any(config, attended_TH, layer.attention_result_norm_H);
  const torch::Tensor fed_TH = feed_forward(config, layer, plan, rms_norm(config, middle_TH, layer.mlp_norm_H));
  return middle_TH + norm_if_any(config, fed_TH, layer.mlp_result_norm_H);
}

}  // namespace equipoise
