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

// Differentiable with respect to the decoder's parameters. The head is applied to the positions that predict an
// answer token only. Sums in the parameters' type, float32 for narrower ones.
PairLogProbs pair_log_probs(const Decoder& decoder, const PackedBatch& batch);

}  // namespace equipoise
