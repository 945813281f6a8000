#include "worker/model/decoder_layer.h"

#include <limits>

namespace equipoise {
namespace {

torch::Tensor project(const Linear& linear, const torch::Tensor& x) {
  return torch::linear(x, linear.weight, linear.bias);
}

// [N, heads, head_dim] packed -> [D, heads, S, head_dim] padded with 0.
torch::Tensor pad(const AttentionBlock& block, const torch::Tensor& x_NhD) {
  torch::Tensor padded = x_NhD;
  if (block.num_rows != block.num_pairs * block.longest) {
    padded = torch::zeros({block.num_pairs * block.longest, x_NhD.size(1), x_NhD.size(2)}, x_NhD.options())
                 .index_copy(0, block.slot_N, x_NhD);
  }
  return padded.view({block.num_pairs, block.longest, x_NhD.size(1), x_NhD.size(2)}).transpose(1, 2);
}

torch::Tensor unpad(const AttentionBlock& block, const torch::Tensor& x_DhSd) {
  const torch::Tensor padded = x_DhSd.transpose(1, 2).reshape({block.num_pairs * block.longest, -1});
  return padded.size(0) == block.num_rows ? padded : padded.index_select(0, block.slot_N);
}

// Each head of keys or values once for every head of queries it serves. Copies nothing where there is only one.
torch::Tensor repeat_heads(const torch::Tensor& x_DkSd, std::int64_t num_heads) {
  const std::int64_t kv_heads = x_DkSd.size(1);
  if (kv_heads == num_heads) return x_DkSd;
  if (kv_heads == 1) return x_DkSd.expand({-1, num_heads, -1, -1});
  return x_DkSd.unsqueeze(2)
      .expand({-1, -1, num_heads / kv_heads, -1, -1})
      .reshape({x_DkSd.size(0), num_heads, x_DkSd.size(2), x_DkSd.size(3)});
}

torch::Tensor attend(const DecoderConfig& config, const AttentionPlan& plan, const torch::Tensor& q_ThD,
                     const torch::Tensor& k_ThD, const torch::Tensor& v_ThD) {
  std::vector<torch::Tensor> outputs;
  for (std::size_t i = 0; i < plan.blocks.size(); ++i) {
    const AttentionBlock& block = plan.blocks[i];
    const auto rows_of = [&](const torch::Tensor& x) {
      return pad(block, x.narrow(0, block.first_row, block.num_rows));
    };
    const torch::Tensor output =
        torch::scaled_dot_product_attention(rows_of(q_ThD), repeat_heads(rows_of(k_ThD), config.num_heads),
                                            repeat_heads(rows_of(v_ThD), config.num_heads), plan.block_mask_D1SS[i]);
    outputs.push_back(unpad(block, output));
  }
  return outputs.size() == 1 ? outputs.front() : torch::cat(outputs);
}

torch::Tensor attention(const DecoderConfig& config, const LayerWeights& weights, const AttentionPlan& plan,
                        const torch::Tensor& x_TH) {
  const auto heads = [&](const Linear& linear, std::int64_t count) {
    return project(linear, x_TH).view({-1, count, config.head_dim});
  };
  const torch::Tensor q = rotate(heads(weights.q, config.num_heads), plan.angles);
  const torch::Tensor k = rotate(heads(weights.k, config.num_kv_heads), plan.angles);
  return project(weights.o, attend(config, plan, q, k, heads(weights.v, config.num_kv_heads)));
}

torch::Tensor activate(Activation activation, const torch::Tensor& x) {
  switch (activation) {
    case Activation::kGeluTanh:
      return torch::gelu(x, "tanh");
  }
  return {};
}

torch::Tensor feed_forward(const DecoderConfig& config, const LayerWeights& weights, const torch::Tensor& x_TH) {
  return project(weights.down, activate(config.activation, project(weights.gate, x_TH)) * project(weights.up, x_TH));
}

}  // namespace

AttentionPlan plan_attention(const DecoderConfig& config, const PackedBatch& batch, torch::Dtype dtype) {
  AttentionPlan plan{.angles = rotary_angles(batch.position_T, config.rope_theta, config.head_dim, dtype),
                     .blocks = batch.blocks,
                     .block_mask_D1SS = {}};
  for (const AttentionBlock& block : batch.blocks) {
    // As numbers once, or scaled_dot_product_attention would make them of the booleans in every layer.
    plan.block_mask_D1SS.push_back(
        torch::zeros(block.mask_DSS.sizes(), batch.position_T.options().dtype(dtype))
            .masked_fill_(block.mask_DSS.logical_not(), -std::numeric_limits<double>::infinity())
            .unsqueeze(1));
  }
  return plan;
}

torch::Tensor rms_norm(const DecoderConfig& config, const torch::Tensor& x_TH, const torch::Tensor& weight_H) {
  const torch::Tensor inverse_rms_T1 = (x_TH.square().mean(-1, true) + config.rms_norm_eps).rsqrt();
  switch (config.norm_scale) {
    case NormScale::kOnePlusWeight:
      return x_TH * inverse_rms_T1 * (1 + weight_H);
  }
  return {};
}

torch::Tensor decoder_layer(const DecoderConfig& config, const LayerWeights& weights, const AttentionPlan& plan,
                            const torch::Tensor& x_TH) {
  const torch::Tensor attended = x_TH + attention(config, weights, plan, rms_norm(config, x_TH, weights.input_norm));
  return attended + feed_forward(config, weights, rms_norm(config, attended, weights.post_attention_norm));
}

}  // namespace equipoise
