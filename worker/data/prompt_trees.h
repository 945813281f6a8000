// Which pairs have the same prompt, and which answers to it are the same: each is computed once.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "worker/data/encoded_dataset.h"

namespace equipoise {

// A prompt and the different answers to it, in the order of the pairs.
struct PromptTree {
  std::span<const std::int32_t> prompt_ids;
  std::vector<std::span<const std::int32_t>> answers;
};

// Prompts and answers are views of the ids of the pairs, which must live as long.
class PromptTrees {
 public:
  // Tokens that add() would add: those of the pair's prompt and answers that are not there yet.
  std::int64_t new_tokens(const EncodedPair& pair) const;
  void add(const EncodedPair& pair);
  // The pairs of `more` after these. A prompt that is in both keeps two trees: it is computed twice.
  void append(PromptTrees more);

  struct Place {
    std::size_t tree, answer;
  };
  const std::vector<PromptTree>& trees() const { return trees_; }
  // Where chosen and rejected of each pair are, in the order of add().
  const std::vector<std::array<Place, 2>>& places() const { return places_; }
  // That are computed for all pairs together.
  std::int64_t num_tokens() const { return num_tokens_; }

 private:
  using Numbers = std::unordered_map<std::string_view, std::size_t>;  // by the bytes of the ids
  std::size_t answer_number(std::size_t tree, std::span<const std::int32_t> ids);

  std::vector<PromptTree> trees_;
  std::vector<std::array<Place, 2>> places_;
  Numbers tree_of_prompt_;
  std::vector<Numbers> answers_of_tree_;
  std::int64_t num_tokens_ = 0;
};

// Of the pairs at these positions, in this order.
PromptTrees trees_of(const EncodedPairs& pairs, std::span<const std::int64_t> indices);

// `indices` such that those with equal prompts follow each other, where the first of them is. What shares nothing stays
// in order.
std::vector<std::int64_t> by_prompt(const EncodedPairs& pairs, std::span<const std::int64_t> indices);

}  // namespace equipoise
