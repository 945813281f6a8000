// log softmax of the head at one token a row, without keeping the logits.
#pragma once

#include <torch/types.h>

#include <optional>

namespace equipoise {

// z = hidden weight^T, and c tanh(z / c) where there is a soft-cap c. Returns [C, V], float32 for narrower types.
//   hidden_CH  [C, H]   weight_VH  [V, H]
torch::Tensor head_logits(const torch::Tensor& hidden_CH, const torch::Tensor& weight_VH,
                          std::optional<double> softcap);

// What the logits of each row show besides, [C] each in the type of the result; without graph.
struct HeadStatistics {
  torch::Tensor entropy_C;     // -sum_v p_v log p_v of p = softmax(z), in nats
  torch::Tensor mean_logit_C;  // mean_v z_v
  torch::Tensor is_first_C;    // 1 where the target has the largest logit, else 0
};

// log p_c = z_c[target_c] - log sum_v exp(z_c[v]),   z = head_logits().   Returns [C], float32 for narrower types.
//   target_C  [C] int64 in [0, V)
// Differentiable with respect to hidden and weight, once; the gradient of the result may be any [C]. Logits exist for a
// few rows at a time, forward and, computed again, backward. With a frozen weight they are there once: the forward pass
// forms the slope W[y] - softmax(z) W while it has them, and the backward pass is one product. `statistics`, where it
// is asked for, is filled from the logits of the forward pass.
torch::Tensor token_log_probs(const torch::Tensor& hidden_CH, const torch::Tensor& weight_VH,
                              const torch::Tensor& target_C, std::optional<double> softcap = {},
                              HeadStatistics* statistics = nullptr);

}  // namespace equipoise
