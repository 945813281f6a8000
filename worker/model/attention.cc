#include "worker/model/attention.h"

#include <torch/csrc/autograd/custom_function.h>

#include <limits>
#include <numbers>
#include <optional>
#include <stdexcept>

#include "worker/model/gathered_rows.h"
#include "worker/model/wide_type.h"

namespace equipoise {
namespace {

torch::Tensor turn(const torch::Tensor& x_TND, const torch::Tensor& cos_T1F, const torch::Tensor& sin_T1F,
                   double direction) {
  const std::int64_t half = cos_T1F.size(-1), rest = x_TND.size(-1) - 2 * half;
  const torch::Tensor first = x_TND.narrow(-1, 0, half), second = x_TND.narrow(-1, half, half);
  torch::Tensor turned = torch::empty(x_TND.sizes(), x_TND.options());
  torch::Tensor turned_first = turned.narrow(-1, 0, half), turned_second = turned.narrow(-1, half, half);
  torch::mul_out(turned_first, first, cos_T1F).addcmul_(second, sin_T1F, -direction);
  torch::mul_out(turned_second, second, cos_T1F).addcmul_(first, sin_T1F, direction);
  if (rest > 0) turned.narrow(-1, 2 * half, rest).copy_(x_TND.narrow(-1, 2 * half, rest));
  return turned;
}

// One node instead of the ten that rotate_half() leaves; its gradient is the turn back.
struct Rotate : torch::autograd::Function<Rotate> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x_TND,
                               const torch::Tensor& cos_T1F, const torch::Tensor& sin_T1F) {
    context->save_for_backward({cos_T1F, sin_T1F});
    return turn(x_TND, cos_T1F, sin_T1F, 1);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {turn(gradients[0], saved[0], saved[1], -1), {}, {}};
  }
};

// Waves shorter than original / high stay, those longer than original / low are stretched by `factor`, and between
// them the share of the stretched falls with the number of waves that fit into the original positions.
torch::Tensor stretch_long_waves(const torch::Tensor& frequency_F, const Llama3Scaling& scaling) {
  const torch::Tensor waves_F = frequency_F * (scaling.original_positions / (2 * std::numbers::pi));
  const torch::Tensor kept_F =
      ((waves_F - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)).clamp(0, 1);
  return frequency_F * (kept_F + (1 - kept_F) / scaling.factor);
}

torch::Tensor frequencies(const RotaryTable& table, const torch::TensorOptions& options) {
  const torch::Tensor exponent_F = torch::arange(0, table.dim, 2, options) / static_cast<double>(table.dim);
  torch::Tensor frequency_F = torch::pow(table.theta, exponent_F).reciprocal();
  if (table.divisor != 1) frequency_F = frequency_F / table.divisor;
  if (!table.divisor_F.empty())
    frequency_F = frequency_F / torch::tensor(table.divisor_F).to(options.device(), options.dtype());
  if (table.llama3) frequency_F = stretch_long_waves(frequency_F, *table.llama3);
  return frequency_F;
}

}  // namespace

RotaryAngles rotary_angles(const torch::Tensor& position_T, const RotaryTable& table, torch::Dtype dtype) {
  const torch::TensorOptions options = position_T.options().dtype(wide_type(dtype));
  const torch::Tensor angle_T1F = position_T.to(wide_type(dtype)).view({-1, 1, 1}) * frequencies(table, options);
  RotaryAngles angles{.cos_T1F = angle_T1F.cos(), .sin_T1F = angle_T1F.sin()};
  if (table.magnitude != 1) {
    angles.cos_T1F.mul_(table.magnitude);
    angles.sin_T1F.mul_(table.magnitude);
  }
  return {.cos_T1F = angles.cos_T1F.to(dtype), .sin_T1F = angles.sin_T1F.to(dtype)};
}

torch::Tensor rotate(const torch::Tensor& x_TND, const RotaryAngles& angles) {
  return Rotate::apply(x_TND, angles.cos_T1F, angles.sin_T1F);
}

namespace {

// Each head of keys or values once for every head of queries it serves. Copies nothing where there is only one.
torch::Tensor repeat_heads(const torch::Tensor& x_DkSd, std::int64_t num_heads) {
  const std::int64_t kv_heads = x_DkSd.size(1);
  if (kv_heads == num_heads) return x_DkSd;
  if (kv_heads == 1) return x_DkSd.expand({-1, num_heads, -1, -1});
  return x_DkSd.unsqueeze(2)
      .expand({-1, -1, num_heads / kv_heads, -1, -1})
      .reshape({x_DkSd.size(0), num_heads, x_DkSd.size(2), x_DkSd.size(3)});
}

// Of one block, [D, heads, S, head_dim] each.
struct PaddedInputs {
  torch::Tensor q_DhQd, k_DkKd, v_DkKd;
};

// Fused attention has no place for the soft-cap between product and softmax.
torch::Tensor softcapped_attention(const DecoderConfig& config, const PaddedInputs& inputs, const torch::Tensor& mask) {
  const double cap = *config.attention_softcap;
  const torch::Tensor k_DhKd = repeat_heads(inputs.k_DkKd, config.num_heads);
  const torch::Tensor v_DhKd = repeat_heads(inputs.v_DkKd, config.num_heads);
  const torch::Tensor product_DhQK = torch::matmul(inputs.q_DhQd, k_DhKd.transpose(-2, -1));
  const torch::Tensor score_DhQK = (product_DhQK * (config.attention_scale / cap)).tanh() * cap + mask;
  const torch::Dtype dtype = v_DhKd.scalar_type();
  return torch::matmul(torch::softmax(score_DhQK, -1, wide_type(dtype)).to(dtype), v_DhKd);
}

// An undefined mask is the causal one.
torch::Tensor attend_in_block(const DecoderConfig& config, const PaddedInputs& inputs, const torch::Tensor& mask) {
  if (config.attention_softcap) return softcapped_attention(config, inputs, mask);
  const std::optional<torch::Tensor> given = mask.defined() ? std::optional(mask) : std::nullopt;
  // The fused kernels of a CPU share heads themselves, those of a GPU do so without a mask only.
  const bool shares_heads = inputs.q_DhQd.is_cpu() && inputs.k_DkKd.size(1) != config.num_heads;
  return torch::scaled_dot_product_attention(
      inputs.q_DhQd, shares_heads ? inputs.k_DkKd : repeat_heads(inputs.k_DkKd, config.num_heads),
      shares_heads ? inputs.v_DkKd : repeat_heads(inputs.v_DkKd, config.num_heads), given, /*dropout_p=*/0.0,
      /*is_causal=*/!mask.defined(), config.attention_scale, shares_heads);
}

// As numbers once, or scaled_dot_product_attention would make them of the booleans in every layer.
torch::Tensor as_mask(const torch::Tensor& seen, torch::Dtype dtype) {
  return torch::zeros(seen.sizes(), seen.options().dtype(dtype))
      .masked_fill_(seen.logical_not(), -std::numeric_limits<double>::infinity());
}

// [S, S] of prompts whose positions are 0, 1, ...; undefined if a causal mask says it all.
torch::Tensor prompt_mask(const DecoderConfig& config, std::int64_t longest, std::int64_t window,
                          const torch::TensorOptions& options, torch::Dtype dtype) {
  const bool has_window = window > 0 && window < longest;
  if (!has_window && !config.attention_softcap) return {};
  torch::Tensor seen_SS = torch::ones({longest, longest}, options.dtype(torch::kBool)).tril();
  if (has_window) seen_SS = seen_SS.triu(1 - window);
  return as_mask(seen_SS, dtype);
}

// [D, 1, Q, K]
torch::Tensor answer_mask(const AnswerBlock& block, std::int64_t window, torch::Dtype dtype) {
  const torch::Tensor key_D1K = block.key_answer_DK.unsqueeze(1);
  const torch::Tensor distance_DQK = block.query_position_DQ.unsqueeze(2) - block.key_position_DK.unsqueeze(1);
  torch::Tensor seen_DQK = key_D1K.eq(block.query_answer_DQ.unsqueeze(2)).logical_or_(key_D1K.eq(kPromptKey));
  seen_DQK.logical_and_(distance_DQK.ge(0));
  if (window > 0) seen_DQK.logical_and_(distance_DQK.lt(window));
  return as_mask(seen_DQK, dtype).unsqueeze(1);
}

// Kinds whose window is longer than every sequence see the same.
std::int64_t effective_window(std::int64_t window, const PackedBatch& batch) {
  return window > batch.largest_position ? 0 : window;
}

void check_length(const RotaryTable& table, const PackedBatch& batch) {
  if (table.longest_sequence == 0 || batch.largest_position < table.longest_sequence) return;
  throw std::invalid_argument("a sequence has " + std::to_string(batch.largest_position + 1) +
                              " tokens, but the model's rotary positions (rope_type " + table.type +
                              ") are the same for every batch up to " + std::to_string(table.longest_sequence) +
                              " only: set data.max_length to at most that");
}

KindPlan plan_kind(const DecoderConfig& config, const LayerKind& kind, const PackedBatch& batch, torch::Dtype dtype) {
  check_length(kind.rotary, batch);
  KindPlan plan{.angles = rotary_angles(batch.position_T, kind.rotary, dtype), .prompt_mask = {}, .answer_mask = {}};
  const std::int64_t window = effective_window(kind.window, batch);
  for (const PromptBlock& block : batch.attention.prompts) {
    plan.prompt_mask.push_back(prompt_mask(config, block.longest, window, batch.position_T.options(), dtype));
  }
  for (const AnswerBlock& block : batch.attention.answers) {
    plan.answer_mask.push_back(answer_mask(block, window, dtype));
  }
  return plan;
}

// How many padded rows of queries and of keys each block has.
struct BlockRows {
  std::vector<std::int64_t> queries, keys;
};
BlockRows block_rows(const AttentionLayout& layout) {
  BlockRows rows;
  for (const PromptBlock& block : layout.prompts) {
    rows.queries.push_back(block.num_prompts * block.longest);
    rows.keys.push_back(block.num_prompts * block.longest);
  }
  for (const AnswerBlock& block : layout.answers) {
    rows.queries.push_back(block.num_bundles * block.num_queries);
    rows.keys.push_back(block.num_bundles * block.num_keys);
  }
  return rows;
}

}  // namespace

AttentionPlan plan_attention(const DecoderConfig& config, const PackedBatch& batch, torch::Dtype dtype) {
  AttentionPlan plan{.blocks = batch.attention, .kinds = {}};
  for (const LayerKind& kind : config.kinds) plan.kinds.push_back(plan_kind(config, kind, batch, dtype));
  return plan;
}

torch::Tensor attend(const DecoderConfig& config, const AttentionLayout& layout, const KindPlan& plan,
                     const QueryKeyValue& inputs) {
  const BlockRows rows = block_rows(layout);
  if (rows.queries.empty()) return inputs.q_TND.flatten(1);
  const auto q = gathered_rows(inputs.q_TND, layout.queries).split_with_sizes(rows.queries);
  const auto k = gathered_rows(inputs.k_TKD, layout.keys).split_with_sizes(rows.keys);
  const auto v = gathered_rows(inputs.v_TKD, layout.keys).split_with_sizes(rows.keys);
  std::vector<torch::Tensor> outputs;
  const auto attend_block = [&](std::int64_t count, const torch::Tensor& mask) {
    const std::size_t i = outputs.size();
    const auto heads = [&](const torch::Tensor& x) {
      return x.view({count, x.size(0) / count, -1, config.head_dim}).transpose(1, 2);
    };
    outputs.push_back(
        attend_in_block(config, {.q_DhQd = heads(q[i]), .k_DkKd = heads(k[i]), .v_DkKd = heads(v[i])}, mask)
            .transpose(1, 2)
            .reshape({q[i].size(0), -1}));
  };
  for (std::size_t i = 0; i < layout.prompts.size(); ++i) {
    attend_block(layout.prompts[i].num_prompts, plan.prompt_mask[i]);
  }
  for (std::size_t i = 0; i < layout.answers.size(); ++i) {
    attend_block(layout.answers[i].num_bundles, plan.answer_mask[i]);
  }
  return gathered_rows(outputs.size() == 1 ? outputs.front() : torch::cat(outputs), layout.outputs);
}

}  // namespace equipoise
