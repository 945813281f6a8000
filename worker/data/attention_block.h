// Which packed rows attend together: prompts to themselves, answers to their prompt and to themselves; and how packed
// rows become padded ones and back.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <span>
#include <vector>

namespace equipoise {

// Place n of N holds row row_N[n] of a tensor with num_rows rows. Undefined row_N: every row at its own place.
struct RowUses {
  // Rows whose gradient comes from these places; each row at most once, so that sums are made in one order on any
  // device. The first round names all rows that are used, ascending.
  struct Round {
    torch::Tensor row_R, place_R;  // [R] int64
  };
  torch::Tensor row_N;  // [N] int64
  std::int64_t num_rows = 0;
  std::vector<Round> rounds;
};

// Names the row of one place after the other.
class RowUsesBuilder {
 public:
  void use(std::int64_t first_row, std::int64_t count = 1);
  // Places that nobody looks at: they hold a row, finite where the others are, and no gradient comes from them.
  void pad(std::int64_t row, std::int64_t count);

  std::int64_t num_places() const { return static_cast<std::int64_t>(row_.size()); }
  RowUses build(std::int64_t num_rows) const;  // on the CPU

 private:
  std::vector<std::int64_t> row_;    // of each place
  std::vector<std::int64_t> place_;  // those that are used, ascending
};

// D prompts of similar length, padded to S tokens. Each token sees those before it, and itself.
struct PromptBlock {
  std::int64_t num_prompts = 0;  // D
  std::int64_t longest = 0;      // S
};

// D bundles of answers, each behind one prompt: Q padded queries of the answers see K padded keys, those of the prompt
// before those of the answers. A query sees a key of its prompt or of its own answer whose position is not after its
// own. Padding after the keys belongs to no answer; padding after the queries repeats the first, so that it sees
// something.
struct AnswerBlock {
  std::int64_t num_bundles = 0;                                                      // D
  std::int64_t num_queries = 0;                                                      // Q
  std::int64_t num_keys = 0;                                                         // K
  torch::Tensor query_answer_DQ, query_position_DQ, key_answer_DK, key_position_DK;  // int64; answers count from 0
};
inline constexpr std::int64_t kPromptKey = -1, kPaddingKey = -2;  // in key_answer_DK

// Padded rows are those of the prompt blocks, then those of the answer blocks, D*S and D*Q (keys: D*K) of each.
struct AttentionLayout {
  std::vector<PromptBlock> prompts;
  std::vector<AnswerBlock> answers;
  RowUses queries;  // the packed row at each padded row of the queries
  RowUses keys;     // the same of keys and values
  RowUses outputs;  // the padded row of the queries at each packed row
};

struct PromptRows {
  std::int64_t first_row = 0, length = 0;
};

// Answers to one prompt that attend in one row of a block: a mask keeps them apart.
struct AnswerBundle {
  PromptRows prompt;
  std::int64_t first_row = 0;              // of the answers, which follow each other
  std::vector<std::int64_t> lengths = {};  // of each answer, not 0

  std::int64_t num_queries() const;
  std::int64_t num_keys() const { return prompt.length + num_queries(); }
};

// Lengths of one class go into one block: up to 16, 17 to 32, 33 to 64 and so on, so padding at most doubles them.
int length_class(std::int64_t length);

// Prompts are in the order of their rows and of descending length, bundles in the order of their rows; those of one
// class of queries and of keys follow each other. All prompts come before all bundles; T rows in all. The tensors
// are on the CPU.
AttentionLayout attention_layout(std::span<const PromptRows> prompts, std::span<const AnswerBundle> bundles);

}  // namespace equipoise
