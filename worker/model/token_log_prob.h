// log softmax of the head at one token a row, without keeping the logits.
#pragma once

#include <torch/types.h>

namespace equipoise {

// log p_c = z_c[target_c] - log sum_v exp(z_c[v]),   z = hidden weight^T.   Returns [C].
//   hidden_CH  [C, H]   weight_VH  [V, H]   target_C  [C] int64 in [0, V)
// Differentiable with respect to hidden and weight, once; the gradient of the result may be any [C]. Logits exist for a
// few rows at a time, forward and, computed again, backward; no gradient of a frozen weight is computed.
torch::Tensor token_log_probs(const torch::Tensor& hidden_CH, const torch::Tensor& weight_VH,
                              const torch::Tensor& target_C);

}  // namespace equipoise
