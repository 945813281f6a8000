// Attention over packed tokens: what all layers of a forward pass share, and softmax(q k^T) v of one layer.
#pragma once

#include <torch/types.h>

#include <vector>

#include "worker/data/packed_batch.h"
#include "worker/model/decoder_config.h"
#include "worker/model/rotary.h"

namespace equipoise {

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
