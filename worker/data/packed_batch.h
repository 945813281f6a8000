// Pairs of one forward pass, packed without padding: prompt, chosen and rejected of pair 0, then of pair 1, ...
// The prompt is there once; rejected does not see chosen, and its positions go on from the prompt's end.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <span>
#include <vector>

#include "worker/data/encoded_pair.h"

namespace equipoise {

// T tokens, B pairs, S longest pair in tokens, C answer tokens that are scored.
struct PackedBatch {
  torch::Tensor token_T;     // [T]       int64 ids
  torch::Tensor position_T;  // [T]       int64, 0 at each prompt's start
  torch::Tensor slot_T;      // [T]       int64, row of the token in a padded [B*S] layout
  torch::Tensor mask_BSS;    // [B, S, S] bool, true where the query (second axis) sees the key (third)
  torch::Tensor source_C;    // [C]       int64, row in [T] whose hidden state predicts the scored token
  torch::Tensor target_C;    // [C]       int64 ids of the scored tokens
  torch::Tensor answer_C;    // [C]       int64, 2*b for chosen of pair b, 2*b+1 for rejected
  torch::Tensor answer_tokens_B2;  // [B, 2] int64, answer tokens of chosen and rejected (scored or not)
  std::int64_t num_pairs = 0;
  std::int64_t longest_pair = 0;  // S
};

// `indices` are positions in `pairs`. The tensors are on `device`.
PackedBatch pack_pairs(std::span<const EncodedPair> pairs, std::span<const std::int64_t> indices, torch::Device device);

// Splits `indices` into micro-batches of at most `token_budget` tokens each (a pair that is longer alone gets one of
// its own), keeping the order. An empty list gives no micro-batch.
std::vector<std::vector<std::int64_t>> split_micro_batches(std::span<const EncodedPair> pairs,
                                                           std::span<const std::int64_t> indices,
                                                           std::int64_t token_budget);

}  // namespace equipoise
