// log softmax of the head at one token a row, without keeping the logits; and log pi(answer | prompt), summed over
// answer tokens.
#pragma once

#include <torch/types.h>

#include <optional>

#include "worker/data/packed_batch.h"
#include "worker/model/decoder.h"

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

struct PairLogProbs {
  torch::Tensor chosen_B;    // [B] sum over answer tokens of log softmax(logits)[token]
  torch::Tensor rejected_B;  // [B] the same; 0 where there is no rejected answer
};

// Sums over the scored tokens of each answer, [B, 2] float64 chosen and rejected, of what HeadStatistics says of
// each; without graph.
struct PairTokenSums {
  torch::Tensor tokens_B2;
  torch::Tensor entropy_B2;
  torch::Tensor mean_logit_B2;
  torch::Tensor is_first_B2;
};

// Differentiable with respect to the decoder's parameters. The head is applied to the positions that predict an
// answer token only. Sums in the parameters' type, float32 for narrower ones. `token_sums`, where it is asked for,
// comes from the same pass.
PairLogProbs pair_log_probs(const Decoder& decoder, const PackedBatch& batch, PairTokenSums* token_sums = nullptr);

}  // namespace equipoise
