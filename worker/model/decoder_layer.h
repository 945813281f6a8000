// One layer of a decoder over packed tokens. Nothing here is padded but attention.
// Source: transformers 5.24, models/gemma/modeling_gemma.py, whose float32 results it agrees with.
#pragma once

#include <torch/types.h>

#include <vector>

#include "worker/data/packed_batch.h"
#include "worker/model/decoder_config.h"
#include "worker/model/rotary.h"

namespace equipoise {

struct Linear {
  torch::Tensor weight;  // [outputs, inputs]
  torch::Tensor bias;    // [outputs], or undefined
};

struct LayerWeights {
  torch::Tensor input_norm, post_attention_norm;  // [H]
  Linear q, k, v, o;
  Linear gate, up, down;
};

// What all layers of one forward pass share.
struct AttentionPlan {
  RotaryAngles angles;
  std::vector<AttentionBlock> blocks;
  std::vector<torch::Tensor> block_mask_D1SS;  // per block [D, 1, S, S]: 0 where seen, -infinity where not
};
AttentionPlan plan_attention(const DecoderConfig& config, const PackedBatch& batch, torch::Dtype dtype);

// x / rms(x) scaled as config.norm_scale says. [T, H]
torch::Tensor rms_norm(const DecoderConfig& config, const torch::Tensor& x_TH, const torch::Tensor& weight_H);

// x [T, H] after attention and feed-forward, each added to its input.
torch::Tensor decoder_layer(const DecoderConfig& config, const LayerWeights& weights, const AttentionPlan& plan,
                            const torch::Tensor& x_TH);

}  // namespace equipoise
