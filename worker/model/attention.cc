#include "worker/model/attention.h"

#include <limits>
#include <stdexcept>

#include "worker/model/wide_type.h"

namespace equipoise {
namespace {

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

// Fused attention has no place for the soft-cap between product and softmax.
torch::Tensor softcapped_attention(const DecoderConfig& config, const QueryKeyValue& padded,
                                   const torch::Tensor& mask_D1SS) {
  const double cap = *config.attention_softcap;
  const torch::Tensor product_DhSS = torch::matmul(padded.q_TND, padded.k_TKD.transpose(-2, -1));
  const torch::Tensor score_DhSS = (product_DhSS * (config.attention_scale / cap)).tanh() * cap + mask_D1SS;
  const torch::Dtype dtype = padded.v_TKD.scalar_type();
  return torch::matmul(torch::softmax(score_DhSS, -1, wide_type(dtype)).to(dtype), padded.v_TKD);
}

torch::Tensor attend_in_block(const DecoderConfig& config, const QueryKeyValue& padded,
                              const torch::Tensor& mask_D1SS) {
  if (config.attention_softcap) return softcapped_attention(config, padded, mask_D1SS);
  return torch::scaled_dot_product_attention(padded.q_TND, padded.k_TKD, padded.v_TKD, mask_D1SS, /*dropout_p=*/0.0,
                                             /*is_causal=*/false, config.attention_scale);
}

// Positions in a block's padded layout, [D, S]. Padding, which sees only itself, may have any.
torch::Tensor padded_positions(const AttentionBlock& block, const torch::Tensor& position_T) {
  return torch::zeros({block.num_pairs * block.longest}, position_T.options())
      .index_copy(0, block.slot_N, position_T.narrow(0, block.first_row, block.num_rows))
      .view({block.num_pairs, block.longest});
}

torch::Tensor seen_in_window(const AttentionBlock& block, const torch::Tensor& position_T, std::int64_t window) {
  if (window == 0 || window >= block.longest) return block.mask_DSS;
  const torch::Tensor position_DS = padded_positions(block, position_T);
  return block.mask_DSS.logical_and(position_DS.unsqueeze(2) - position_DS.unsqueeze(1) < window);
}

void check_length(const RotaryTable& table, const PackedBatch& batch) {
  if (table.longest_sequence == 0 || batch.largest_position < table.longest_sequence) return;
  throw std::invalid_argument("a sequence has " + std::to_string(batch.largest_position + 1) +
                              " tokens, but the model's rotary positions (rope_type " + table.type +
                              ") are the same for every batch up to " + std::to_string(table.longest_sequence) +
                              " only: set data.max_length to at most that");
}

}  // namespace

AttentionPlan plan_attention(const DecoderConfig& config, const PackedBatch& batch, torch::Dtype dtype) {
  AttentionPlan plan{.blocks = batch.blocks, .kinds = {}};
  for (const LayerKind& kind : config.kinds) {
    check_length(kind.rotary, batch);
    plan.kinds.push_back({.angles = rotary_angles(batch.position_T, kind.rotary, dtype), .mask_D1SS = {}});
    for (const AttentionBlock& block : batch.blocks) {
      const torch::Tensor seen_DSS = seen_in_window(block, batch.position_T, kind.window);
      // As numbers once, or scaled_dot_product_attention would make them of the booleans in every layer.
      plan.kinds.back().mask_D1SS.push_back(
          torch::zeros(seen_DSS.sizes(), batch.position_T.options().dtype(dtype))
              .masked_fill_(seen_DSS.logical_not(), -std::numeric_limits<double>::infinity())
              .unsqueeze(1));
    }
  }
  return plan;
}

torch::Tensor attend(const DecoderConfig& config, const std::vector<AttentionBlock>& blocks, const KindPlan& plan,
                     const QueryKeyValue& inputs) {
  std::vector<torch::Tensor> outputs;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const AttentionBlock& block = blocks[i];
    const auto rows_of = [&](const torch::Tensor& x) {
      return pad(block, x.narrow(0, block.first_row, block.num_rows));
    };
    const QueryKeyValue padded{.q_TND = rows_of(inputs.q_TND),
                               .k_TKD = repeat_heads(rows_of(inputs.k_TKD), config.num_heads),
                               .v_TKD = repeat_heads(rows_of(inputs.v_TKD), config.num_heads)};
    outputs.push_back(unpad(block, attend_in_block(config, padded, plan.mask_D1SS[i])));
  }
  return outputs.size() == 1 ? outputs.front() : torch::cat(outputs);
}

}  // namespace equipoise
