// Attention over packed tokens: what all layers of a forward pass share, and softmax(q k^T) v of one layer.
#pragma once

#include <torch/types.h>

#include <vector>

#include "worker/data/packed_batch.h"
#include "worker/model/decoder_config.h"
#include "worker/model/rotary.h"

namespace equipoise {

// Of one kind of layers.
struct KindPlan {
  RotaryAngles angles;
  std::vector<torch::Tensor> mask_D1SS;  // per block [D, 1, S, S]: 0 where seen, -infinity where not
};

struct AttentionPlan {
  std::vector<AttentionBlock> blocks;
  std::vector<KindPlan> kinds;  // as config.kinds
};

// A window counts positions, not rows: the prompt's tokens are near to those of both answers.
// Throws std::invalid_argument for a sequence longer than a rotary table allows.
AttentionPlan plan_attention(const DecoderConfig& config, const PackedBatch& batch, torch::Dtype dtype);

// [T, heads * head_dim]; q, k and v are [T, heads, head_dim], k and v with fewer heads where several queries share one.
// Softmax in float32 for narrower types. Nothing but this is padded.
struct QueryKeyValue {
  torch::Tensor q_TND, k_TKD, v_TKD;
};
torch::Tensor attend(const DecoderConfig& config, const std::vector<AttentionBlock>& blocks, const KindPlan& plan,
                     const QueryKeyValue& inputs);

}  // namespace equipoise
