// log pi(answer | prompt), summed over answer tokens.
#pragma once

#include <torch/types.h>

#include "worker/data/packed_batch.h"
#include "worker/model/decoder.h"

namespace equipoise {

struct PairLogProbs {
  torch::Tensor chosen_B;    // [B] sum over answer tokens of log softmax(logits)[token]
  torch::Tensor rejected_B;  // [B] the same; 0 where there is no rejected answer
};

// Sums over the scored tokens of each answer, [B, 2] float64 chosen and rejected, of what token_log_prob.h says of
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
