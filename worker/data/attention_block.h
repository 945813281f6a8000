// Which tokens of a pair see which, for pairs that attend together.
#pragma once

#include <span>

#include "worker/data/packed_batch.h"

namespace equipoise {

// Tokens of one pair: prompt, chosen, rejected.
struct PairLengths {
  std::int64_t prompt = 0, chosen = 0, rejected = 0;
  std::int64_t total() const { return prompt + chosen + rejected; }
};

// Splits pairs, longest first, into blocks; a pair of fewer than half the tokens of a block's longest opens the next.
std::vector<AttentionBlock> attention_blocks(std::span<const PairLengths> longest_first, torch::Device device);

}  // namespace equipoise
