// Pairs of one forward pass, packed without padding: prompt, chosen and rejected of one pair after the other, the
// longest pair first. The prompt is there once; rejected does not see chosen, and its positions go on from the
// prompt's end.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <span>
#include <vector>

#include "worker/data/encoded_pair.h"

namespace equipoise {

// Pairs of similar length that attend together, padded to the longest of them: D pairs, S its tokens. The padded area
// is at most twice the pairs' tokens, whatever lengths a batch mixes.
struct AttentionBlock {
  std::int64_t first_row = 0;  // in [T]
  std::int64_t num_rows = 0;   // N
  std::int64_t num_pairs = 0;  // D
  std::int64_t longest = 0;    // S
  torch::Tensor slot_N;        // [N]       int64, row of each token in a padded [D*S] layout
  torch::Tensor mask_DSS;      // [D, S, S] bool, true where the query (second axis) sees the key (third)
};

// T tokens, B pairs, C answer tokens that are scored.
struct PackedBatch {
  torch::Tensor token_T;           // [T]    int64 ids
  torch::Tensor position_T;        // [T]    int64, 0 at each prompt's start
  torch::Tensor source_C;          // [C]    int64, row in [T] whose hidden state predicts the scored token
  torch::Tensor target_C;          // [C]    int64 ids of the scored tokens
  torch::Tensor answer_C;          // [C]    int64, 2*b for chosen of pair b, 2*b+1 for rejected
  torch::Tensor answer_tokens_B2;  // [B, 2] int64, answer tokens of chosen and rejected (scored or not)
  std::vector<AttentionBlock> blocks;
  std::int64_t num_pairs = 0;         // B
  std::int64_t largest_token = 0;     // greatest id in token_T and target_C
  std::int64_t largest_position = 0;  // in position_T
};

// `indices` are positions in `pairs`, not empty; pair b of the batch is pairs[indices[b]]. The first token of an answer
// to an empty prompt has nothing that predicts it and is not scored. The tensors are on `device`.
PackedBatch pack_pairs(const EncodedPairs& pairs, std::span<const std::int64_t> indices, torch::Device device);

// Splits `indices` into micro-batches of at most `token_budget` tokens each (a pair that is longer alone gets one of
// its own), keeping the order. An empty list gives no micro-batch.
std::vector<std::vector<std::int64_t>> split_micro_batches(const EncodedPairs& pairs,
                                                           std::span<const std::int64_t> indices,
                                                           std::int64_t token_budget);

}  // namespace equipoise
