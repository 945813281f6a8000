// Attention over packed tokens: what all layers of a forward pass share, and softmax(q k^T) v of one layer.
#pragma once

#include <torch/types.h>

#include <vector>

#include "worker/data/packed_batch.h"
#include "worker/model/decoder_config.h"

namespace equipoise {

// Rotary position embedding.
// Source: Su et al. 2021 (arXiv:2104.09864); halves instead of neighbours turn together, as in Hugging Face's models.
struct RotaryAngles {
  torch::Tensor cos_T1F, sin_T1F;  // [T, 1, F], F = dimensions that turn / 2
};

// cos and sin of position times the table's frequencies, times its magnitude. Computed in float64 for float64, else in
// float32, and returned as `dtype`.
RotaryAngles rotary_angles(const torch::Tensor& position_T, const RotaryTable& table, torch::Dtype dtype);

// Turns (x_j, x_{j + F}) by its angle, j in [0, F); dimensions from 2F on stay. x_TND  [T, heads, head_dim].
// Differentiable with respect to x.
torch::Tensor rotate(const torch::Tensor& x_TND, const RotaryAngles& angles);

// Of one kind of layers. Masks are 0 where a key is seen and -infinity where it is not.
struct KindPlan {
  RotaryAngles angles;
  std::vector<torch::Tensor> prompt_mask;  // per block [S, S], for all its prompts; undefined: causal and no more
  std::vector<torch::Tensor> answer_mask;  // per block [D, 1, Q, K]
};

struct AttentionPlan {
  AttentionLayout blocks;
  std::vector<KindPlan> kinds;  // as config.kinds
};

// A window counts positions, not rows: the prompt's tokens are near to those of every answer.
// Throws std::invalid_argument for a sequence longer than a rotary table allows.
AttentionPlan plan_attention(const DecoderConfig& config, const PackedBatch& batch, torch::Dtype dtype);

// [T, heads * head_dim]; q, k and v are [T, heads, head_dim], k and v with fewer heads where several queries share one.
// Softmax in float32 for narrower types. Nothing but this is padded.
struct QueryKeyValue {
  torch::Tensor q_TND, k_TKD, v_TKD;
};
torch::Tensor attend(const DecoderConfig& config, const AttentionLayout& layout, const KindPlan& plan,
                     const QueryKeyValue& inputs);

}  // namespace equipoise
