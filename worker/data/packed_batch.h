// Pairs of one forward pass, packed without padding: each prompt once, whatever number of pairs has it, then each
// different answer to it once. Answers do not see each other, and their positions go on from the prompt's end.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "worker/data/attention_block.h"
#include "worker/data/encoded_dataset.h"
#include "worker/data/prompt_trees.h"

namespace equipoise {

// Keys of the rows of a packed batch, from which their dropout masks are made: equal rows get equal masks wherever they
// are computed, whatever shares a batch, a rank or a prompt with them.

// Masks of one training step.
struct DropoutDraw {
  std::uint64_t seed = 0;
  std::int64_t step = 0;
};

// A key is a hash of the draw, of all ids of the text that the row belongs to (the prompt; or prompt and answer) and of
// the row's place in it.
class RowKeys {
 public:
  explicit RowKeys(const DropoutDraw& draw);

  // Of all rows of a prompt, or of an answer to it, after those that are there.
  void add_prompt(std::span<const std::int32_t> prompt_ids);
  void add_answer(std::span<const std::int32_t> prompt_ids, std::span<const std::int32_t> answer_ids);

  const std::vector<std::int64_t>& values() const { return values_; }

 private:
  void add(std::uint64_t text, std::size_t count);

  std::uint64_t start_;
  std::vector<std::int64_t> values_;
};

// T tokens, B pairs, A different answers, C answer tokens that are scored.
struct PackedBatch {
  torch::Tensor token_T;            // [T]    int64 ids; all prompts, then all answers
  torch::Tensor position_T;         // [T]    int64, 0 at each prompt's start
  RowUses source_C;                 // [C]    rows in [T] whose hidden state predicts the scored token
  torch::Tensor target_C;           // [C]    int64 ids of the scored tokens
  torch::Tensor answer_C;           // [C]    int64, the answer in [0, A) that the scored token is of
  torch::Tensor answer_of_pair_B2;  // [B, 2] int64 in [0, A), chosen and rejected
  torch::Tensor answer_tokens_B2;   // [B, 2] int64, answer tokens of chosen and rejected (scored or not)
  torch::Tensor row_key_T;          // [T]    int64, of RowKeys: dropout masks are made from them; undefined: none
  AttentionLayout attention;
  std::int64_t num_pairs = 0;         // B
  std::int64_t num_answers = 0;       // A
  std::int64_t largest_token = 0;     // greatest id in token_T and target_C
  std::int64_t largest_position = 0;  // in position_T
};

// Pair b of the batch is the b-th that was added to `trees`, which are not empty. The first token of an answer to an
// empty prompt has nothing that predicts it and is not scored. The tensors are on `device`, where they go in one copy.
// With `dropout` the batch has row keys.
PackedBatch pack_trees(const PromptTrees& trees, torch::Device device, const std::optional<DropoutDraw>& dropout = {});

// The same of the pairs at `indices` in `pairs`.
PackedBatch pack_pairs(const EncodedPairs& pairs, std::span<const std::int64_t> indices, torch::Device device,
                       const std::optional<DropoutDraw>& dropout = {});

// Sends all tensors of a batch on the CPU to `device` in one copy; there they are parts of one list of int64.
void move_to(torch::Device device, PackedBatch& batch);

// The pairs of one forward pass.
struct MicroBatch {
  std::vector<std::int64_t> indices;  // positions of the pairs
  PromptTrees trees;                  // of these pairs, in this order
};

// Calls `take` with one micro-batch after the other, of at most `token_budget` packed tokens each (a pair that is
// longer alone gets one of its own), in the order of `ordered`: positions in `pairs` as by_prompt() puts them. Pairs
// that share a prompt are split up only if together they are more than the budget. An empty list gives no micro-batch.
void for_each_micro_batch(const EncodedPairs& pairs, std::span<const std::int64_t> ordered, std::int64_t token_budget,
                          const std::function<void(MicroBatch)>& take);

// All of them. Their trees take several times the memory of the ids' positions: not for a whole data set.
std::vector<MicroBatch> split_micro_batches(const EncodedPairs& pairs, std::span<const std::int64_t> ordered,
                                            std::int64_t token_budget);

}  // namespace equipoise
