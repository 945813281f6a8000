#include "worker/data/prompt_trees.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>
#include <utility>

namespace equipoise {
namespace {

std::string_view bytes_of(std::span<const std::int32_t> ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size_bytes()};
}

}  // namespace

std::int64_t PromptTrees::new_tokens(const EncodedPair& pair) const {
  const auto tree = tree_of_prompt_.find(bytes_of(pair.prompt_ids));
  const bool is_known = tree != tree_of_prompt_.end();
  const auto is_new = [&](std::span<const std::int32_t> answer) {
    return !is_known || !answers_of_tree_[tree->second].contains(bytes_of(answer));
  };
  std::int64_t tokens = is_known ? 0 : std::ssize(pair.prompt_ids);
  if (is_new(pair.chosen_ids)) tokens += std::ssize(pair.chosen_ids);
  const bool are_equal = std::ranges::equal(pair.chosen_ids, pair.rejected_ids);
  return !are_equal && is_new(pair.rejected_ids) ? tokens + std::ssize(pair.rejected_ids) : tokens;
}

void PromptTrees::add(const EncodedPair& pair) {
  const auto [entry, is_new] = tree_of_prompt_.emplace(bytes_of(pair.prompt_ids), trees_.size());
  const std::size_t tree = entry->second;
  if (is_new) {
    trees_.push_back({.prompt_ids = pair.prompt_ids, .answers = {}});
    answers_of_tree_.emplace_back();
    num_tokens_ += std::ssize(pair.prompt_ids);
  }
  const std::size_t chosen = answer_number(tree, pair.chosen_ids);
  const std::size_t rejected = answer_number(tree, pair.rejected_ids);
  places_.push_back({Place{tree, chosen}, Place{tree, rejected}});
}

void PromptTrees::append(PromptTrees more) {
  const std::size_t first = trees_.size();
  for (const auto& [prompt, tree] : more.tree_of_prompt_) tree_of_prompt_.emplace(prompt, first + tree);
  for (const auto& [chosen, rejected] : more.places_) {
    places_.push_back({Place{first + chosen.tree, chosen.answer}, Place{first + rejected.tree, rejected.answer}});
  }
  std::ranges::move(more.trees_, std::back_inserter(trees_));
  std::ranges::move(more.answers_of_tree_, std::back_inserter(answers_of_tree_));
  num_tokens_ += more.num_tokens_;
}

std::size_t PromptTrees::answer_number(std::size_t tree, std::span<const std::int32_t> ids) {
  auto& answers = trees_[tree].answers;
  const auto [entry, is_new] = answers_of_tree_[tree].emplace(bytes_of(ids), answers.size());
  if (is_new) {
    answers.push_back(ids);
    num_tokens_ += std::ssize(ids);
  }
  return entry->second;
}

PromptTrees trees_of(const EncodedPairs& pairs, std::span<const std::int64_t> indices) {
  PromptTrees trees;
  for (const std::int64_t index : indices) trees.add(pairs[static_cast<std::size_t>(index)]);
  return trees;
}

std::vector<std::int64_t> by_prompt(const EncodedPairs& pairs, std::span<const std::int64_t> indices) {
  const auto prompt_of = [&](std::size_t place) { return pairs[static_cast<std::size_t>(indices[place])].prompt_ids; };
  std::vector<std::pair<std::size_t, std::size_t>> hashed;  // hash of the prompt, place in `indices`
  for (std::size_t place = 0; place < indices.size(); ++place) {
    hashed.emplace_back(std::hash<std::string_view>()(bytes_of(prompt_of(place))), place);
  }
  std::ranges::sort(hashed);

  std::vector<std::size_t> first_of(indices.size());  // the first place with the same prompt
  for (std::size_t i = 0; i < hashed.size(); ++i) {
    const auto [hash, place] = hashed[i];
    const bool is_shared =
        i > 0 && hashed[i - 1].first == hash && std::ranges::equal(prompt_of(hashed[i - 1].second), prompt_of(place));
    first_of[place] = is_shared ? first_of[hashed[i - 1].second] : place;
  }
  std::vector<std::size_t> order(indices.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t place) { return first_of[place]; });
  std::vector<std::int64_t> ordered;
  for (const std::size_t place : order) ordered.push_back(indices[place]);
  return ordered;
}

}  // namespace equipoise
