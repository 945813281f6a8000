// One layer of a decoder over packed tokens, hidden states in and out: every family's, as config says.
// Source: transformers 5.24, models/*/modeling_*.py, whose float32 results it agrees with.
#pragma once

#include <torch/types.h>

#include <vector>

#include "worker/model/attention.h"
#include "worker/model/decoder_config.h"
#include "worker/model/linear.h"

namespace equipoise {

// Root-mean-square norm. Source: Zhang, Sennrich 2019 (arXiv:1910.07467).

// x / rms(x) over the last dimension, scaled as config.norm_scale says. Computed in float32 for narrower types.
//   x  [..., W]   weight_W  [W]
torch::Tensor rms_norm(const DecoderConfig& config, const torch::Tensor& x, const torch::Tensor& weight_W);

// Norms that a family does not have are undefined.
struct DecoderLayer {
  std::size_t kind = 0;  // position in config.kinds
  torch::Tensor attention_norm_H, attention_result_norm_H;
  std::vector<Linear> query_key_value;  // three, or one that is fused
  torch::Tensor query_norm_D, key_norm_D;
  Linear attention_output;
  torch::Tensor mlp_norm_H, mlp_result_norm_H;
  std::vector<Linear> gate_up;  // two, or one that is fused
  Linear down;
};

// What all layers of a forward pass share.
struct ForwardPlan {
  AttentionPlan attention;
  torch::Tensor row_key_T;  // defined: adapters drop inputs
};

// x [T, H] after attention and feed-forward, each added to its input.
torch::Tensor apply_layer(const DecoderConfig& config, const DecoderLayer& layer, const ForwardPlan& plan,
                          const torch::Tensor& x_TH);

}  // namespace equipoise
