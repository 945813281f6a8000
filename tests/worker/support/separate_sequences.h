// Batches in which nothing is shared: each answer behind a prompt of its own, one causal sequence a row, as most
// programs lay them out. Made without any of the code that finds what pairs have in common.
#pragma once

#include <torch/types.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <span>
#include <vector>

#include "worker/data/packed_batch.h"

namespace equipoise {

enum class SequencePadding { kNone, kToLongest };

// Sequence 2b is prompt and chosen of pair indices[b], sequence 2b + 1 prompt and rejected; so is the answer's number.
inline PackedBatch separate_sequences(const EncodedPairs& pairs, std::span<const std::int64_t> indices,
                                      SequencePadding padding) {
  struct Sequence {
    std::vector<std::int64_t> ids;
    std::int64_t prompt_length, answer;
  };
  std::vector<Sequence> sequences;
  std::vector<std::int64_t> answer_tokens;
  for (const std::int64_t index : indices) {
    const EncodedPair pair = pairs[static_cast<std::size_t>(index)];
    for (const auto answer : {pair.chosen_ids, pair.rejected_ids}) {
      Sequence sequence{.ids = {pair.prompt_ids.begin(), pair.prompt_ids.end()},
                        .prompt_length = static_cast<std::int64_t>(pair.prompt_ids.size()),
                        .answer = static_cast<std::int64_t>(sequences.size())};
      sequence.ids.insert(sequence.ids.end(), answer.begin(), answer.end());
      sequences.push_back(std::move(sequence));
      answer_tokens.push_back(static_cast<std::int64_t>(answer.size()));
    }
  }
  std::ranges::stable_sort(sequences, std::greater(), [](const Sequence& sequence) { return sequence.ids.size(); });

  std::vector<std::int64_t> token, position, target, answer;
  std::vector<PromptRows> rows;
  RowUsesBuilder source;
  PackedBatch batch;
  for (const Sequence& sequence : sequences) {
    const auto first = static_cast<std::int64_t>(token.size());
    const auto length = static_cast<std::int64_t>(sequence.ids.size());
    token.insert(token.end(), sequence.ids.begin(), sequence.ids.end());
    if (padding == SequencePadding::kToLongest)
      token.resize(token.size() + sequences.front().ids.size() - sequence.ids.size());
    rows.push_back({.first_row = first, .length = static_cast<std::int64_t>(token.size()) - first});
    position.resize(token.size());
    std::iota(position.begin() + first, position.end(), std::int64_t{0});
    for (std::int64_t t = std::max<std::int64_t>(sequence.prompt_length, 1); t < length; ++t) {
      source.use(first + t - 1);
      target.push_back(sequence.ids[static_cast<std::size_t>(t)]);
      answer.push_back(sequence.answer);
    }
  }
  batch.token_T = torch::tensor(token, torch::kInt64);
  batch.position_T = torch::tensor(position, torch::kInt64);
  batch.source_C = source.build(static_cast<std::int64_t>(token.size()));
  batch.target_C = torch::tensor(target, torch::kInt64);
  batch.answer_C = torch::tensor(answer, torch::kInt64);
  batch.num_pairs = static_cast<std::int64_t>(indices.size());
  batch.num_answers = 2 * batch.num_pairs;
  batch.answer_of_pair_B2 = torch::arange(batch.num_answers, torch::kInt64).view({-1, 2});
  batch.answer_tokens_B2 = torch::tensor(answer_tokens, torch::kInt64).view({-1, 2});
  batch.attention = attention_layout(rows, {});
  batch.largest_token = token.empty() ? 0 : *std::ranges::max_element(token);
  batch.largest_position = position.empty() ? 0 : *std::ranges::max_element(position);
  return batch;
}

}  // namespace equipoise
