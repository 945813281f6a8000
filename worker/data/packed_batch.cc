#include "worker/data/packed_batch.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <iterator>
#include <numeric>
#include <utility>

#include "common/base/error.h"
#include "common/base/split_mix64.h"

namespace equipoise {
namespace {

// The length ends a list, so that no two pairs of lists run into each other.
std::uint64_t hashed(std::uint64_t start, std::span<const std::int32_t> ids) {
  for (const std::int32_t id : ids) start = mixed_bits(start, static_cast<std::uint32_t>(id));
  return mixed_bits(~start, ids.size());
}

}  // namespace

RowKeys::RowKeys(const DropoutDraw& draw)
    : start_(mixed_bits(mixed_bits(draw.seed, 0), static_cast<std::uint64_t>(draw.step))) {}

void RowKeys::add_prompt(std::span<const std::int32_t> prompt_ids) {
  add(hashed(start_, prompt_ids), prompt_ids.size());
}

void RowKeys::add_answer(std::span<const std::int32_t> prompt_ids, std::span<const std::int32_t> answer_ids) {
  add(hashed(hashed(start_, prompt_ids), answer_ids), answer_ids.size());
}

void RowKeys::add(std::uint64_t text, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) values_.push_back(std::bit_cast<std::int64_t>(mixed_bits(text, i)));
}

namespace {

using Ids = std::span<const std::int32_t>;

// Answers of one tree that attend in one bundle; ids are views.
struct Bundle {
  std::size_t tree = 0;
  std::vector<std::size_t> answers;
  std::int64_t num_queries = 0;
};

// Short answers go together as long as they are few beside their prompt: its keys are gathered once for all of them,
// and the scores between answers, which nobody sees, stay fewer than those that somebody does.
std::vector<Bundle> bundles_of(const PromptTree& tree, std::size_t number) {
  constexpr std::int64_t kFewQueries = 16;
  const std::int64_t most_queries = std::max(kFewQueries, std::ssize(tree.prompt_ids) / 2);
  std::vector<std::size_t> longest_first(tree.answers.size());
  std::iota(longest_first.begin(), longest_first.end(), std::size_t{0});
  std::ranges::stable_sort(longest_first, std::greater(), [&](std::size_t a) { return tree.answers[a].size(); });

  std::vector<Bundle> bundles;
  for (const std::size_t a : longest_first) {
    const std::int64_t tokens = std::ssize(tree.answers[a]);
    if (tokens == 0) break;
    if (bundles.empty() || bundles.back().num_queries + tokens > most_queries) {
      bundles.push_back({.tree = number, .answers = {}, .num_queries = 0});
    }
    bundles.back().answers.push_back(a);
    bundles.back().num_queries += tokens;
  }
  return bundles;
}

// Rows in the order of the attention's blocks.
class Packer {
 public:
  Packer(const std::vector<PromptTree>& trees, const std::optional<DropoutDraw>& dropout)
      : trees_(trees), prompts_(trees.size()) {
    if (dropout) row_keys_.emplace(*dropout);
    for (const PromptTree& tree : trees) {
      first_answer_.push_back(num_answers_);
      num_answers_ += static_cast<std::int64_t>(tree.answers.size());
    }
    add_prompts();
    add_bundles();
  }

  // On the CPU; without pairs.
  PackedBatch batch() const {
    const auto tensor = [](const std::vector<std::int64_t>& values) { return torch::tensor(values, torch::kInt64); };
    PackedBatch batch;
    batch.token_T = tensor(token_);
    batch.position_T = tensor(position_);
    batch.source_C = source_.build(length_of_rows());
    batch.target_C = tensor(target_);
    batch.answer_C = tensor(answer_);
    batch.attention = attention_layout(prompt_rows_, bundles_);
    batch.num_answers = num_answers_;
    if (row_keys_) batch.row_key_T = tensor(row_keys_->values());
    batch.largest_token = token_.empty() ? 0 : *std::ranges::max_element(token_);
    batch.largest_position = position_.empty() ? 0 : *std::ranges::max_element(position_);
    return batch;
  }

  void add_pairs(std::span<const std::array<PromptTrees::Place, 2>> places, PackedBatch& batch) const {
    std::vector<std::int64_t> answer_of_pair, answer_tokens;
    for (const auto& pair : places) {
      for (const PromptTrees::Place place : pair) {
        answer_of_pair.push_back(answer_number(place));
        answer_tokens.push_back(std::ssize(trees_[place.tree].answers[place.answer]));
      }
    }
    batch.answer_of_pair_B2 = torch::tensor(answer_of_pair, torch::kInt64).view({-1, 2});
    batch.answer_tokens_B2 = torch::tensor(answer_tokens, torch::kInt64).view({-1, 2});
    batch.num_pairs = std::ssize(places);
  }

 private:
  std::int64_t answer_number(PromptTrees::Place place) const {
    return first_answer_[place.tree] + static_cast<std::int64_t>(place.answer);
  }

  std::int64_t length_of_rows() const { return static_cast<std::int64_t>(token_.size()); }

  void append(Ids ids, std::int64_t first_position) {
    token_.insert(token_.end(), ids.begin(), ids.end());
    position_.resize(token_.size());
    std::iota(position_.end() - std::ssize(ids), position_.end(), first_position);
  }

  void add_prompts() {
    std::vector<std::size_t> longest_first(trees_.size());
    std::iota(longest_first.begin(), longest_first.end(), std::size_t{0});
    std::ranges::stable_sort(longest_first, std::greater(), [&](std::size_t t) { return trees_[t].prompt_ids.size(); });
    for (const std::size_t t : longest_first) {
      prompts_[t] = {.first_row = length_of_rows(), .length = std::ssize(trees_[t].prompt_ids)};
      prompt_rows_.push_back(prompts_[t]);
      append(trees_[t].prompt_ids, 0);
      if (row_keys_) row_keys_->add_prompt(trees_[t].prompt_ids);
    }
  }

  void add_bundles() {
    std::vector<Bundle> bundles;
    for (std::size_t t = 0; t < trees_.size(); ++t)
      std::ranges::move(bundles_of(trees_[t], t), std::back_inserter(bundles));
    std::ranges::stable_sort(bundles, std::greater(), [&](const Bundle& bundle) {
      return std::pair(length_class(bundle.num_queries),
                       length_class(bundle.num_queries + prompts_[bundle.tree].length));
    });
    for (const Bundle& bundle : bundles) {
      const PromptRows prompt = prompts_[bundle.tree];
      bundles_.push_back({.prompt = prompt, .first_row = length_of_rows()});
      for (const std::size_t a : bundle.answers) add_answer(bundle.tree, a);
    }
  }

  void add_answer(std::size_t tree, std::size_t answer) {
    const Ids ids = trees_[tree].answers[answer];
    const PromptRows prompt = prompts_[tree];
    for (std::int64_t k = prompt.length == 0 ? 1 : 0; k < std::ssize(ids); ++k) {
      source_.use(k == 0 ? prompt.first_row + prompt.length - 1 : length_of_rows() + k - 1);
      target_.push_back(ids[static_cast<std::size_t>(k)]);
      answer_.push_back(answer_number({tree, answer}));
    }
    bundles_.back().lengths.push_back(std::ssize(ids));
    append(ids, prompt.length);
    if (row_keys_) row_keys_->add_answer(trees_[tree].prompt_ids, ids);
  }

  const std::vector<PromptTree>& trees_;
  std::vector<PromptRows> prompts_;         // of each tree
  std::vector<PromptRows> prompt_rows_;     // the same in the order of rows
  std::vector<AnswerBundle> bundles_;       // in the order of rows
  std::vector<std::int64_t> first_answer_;  // of each tree
  std::int64_t num_answers_ = 0;
  std::vector<std::int64_t> token_, position_, target_, answer_;
  RowUsesBuilder source_;
  std::optional<RowKeys> row_keys_;
};

// Up to where the pairs share the prompt of the first.
std::span<const std::int64_t> first_group(const EncodedPairs& pairs, std::span<const std::int64_t> indices) {
  const auto prompt_of = [&](std::int64_t index) { return pairs[static_cast<std::size_t>(index)].prompt_ids; };
  const auto end = std::ranges::find_if(
      indices, [&](std::int64_t index) { return !std::ranges::equal(prompt_of(index), prompt_of(indices.front())); });
  return indices.first(static_cast<std::size_t>(end - indices.begin()));
}

// All that are there.
std::vector<torch::Tensor*> tensors_of(PackedBatch& batch) {
  std::vector<torch::Tensor*> tensors = {&batch.token_T,  &batch.position_T,        &batch.target_C,
                                         &batch.answer_C, &batch.answer_of_pair_B2, &batch.answer_tokens_B2,
                                         &batch.row_key_T};
  for (RowUses* uses : {&batch.source_C, &batch.attention.queries, &batch.attention.keys, &batch.attention.outputs}) {
    tensors.push_back(&uses->row_N);
    for (RowUses::Round& round : uses->rounds) tensors.insert(tensors.end(), {&round.row_R, &round.place_R});
  }
  for (AnswerBlock& block : batch.attention.answers) {
    tensors.insert(tensors.end(),
                   {&block.query_answer_DQ, &block.query_position_DQ, &block.key_answer_DK, &block.key_position_DK});
  }
  std::erase_if(tensors, [](const torch::Tensor* tensor) { return !tensor->defined(); });
  return tensors;
}

}  // namespace

PackedBatch pack_trees(const PromptTrees& trees, torch::Device device, const std::optional<DropoutDraw>& dropout) {
  EQUIPOISE_CHECK(!trees.places().empty());
  const Packer packer(trees.trees(), dropout);
  PackedBatch batch = packer.batch();
  packer.add_pairs(trees.places(), batch);
  if (!device.is_cpu()) move_to(device, batch);
  return batch;
}

PackedBatch pack_pairs(const EncodedPairs& pairs, std::span<const std::int64_t> indices, torch::Device device,
                       const std::optional<DropoutDraw>& dropout) {
  return pack_trees(trees_of(pairs, indices), device, dropout);
}

void move_to(torch::Device device, PackedBatch& batch) {
  const std::vector<torch::Tensor*> tensors = tensors_of(batch);
  std::vector<torch::Tensor> lists;
  for (const torch::Tensor* tensor : tensors) lists.push_back(tensor->flatten());
  const torch::Tensor moved = torch::cat(lists).to(device);
  std::int64_t begin = 0;
  for (torch::Tensor* tensor : tensors) {
    const std::int64_t count = tensor->numel();
    *tensor = moved.narrow(0, begin, count).view(tensor->sizes());
    begin += count;
  }
}

void for_each_micro_batch(const EncodedPairs& pairs, std::span<const std::int64_t> ordered, std::int64_t token_budget,
                          const std::function<void(MicroBatch)>& take) {
  MicroBatch next;
  const auto tokens_left = [&] { return token_budget - next.trees.num_tokens(); };
  const auto close = [&] {
    if (!next.indices.empty()) take(std::exchange(next, MicroBatch{}));
  };
  for (std::span<const std::int64_t> rest = ordered; !rest.empty();) {
    const auto group = first_group(pairs, rest);
    PromptTrees trees = trees_of(pairs, group);
    if (trees.num_tokens() > tokens_left() && trees.num_tokens() <= token_budget) close();
    if (trees.num_tokens() <= tokens_left()) {
      next.trees.append(std::move(trees));
      next.indices.insert(next.indices.end(), group.begin(), group.end());
    } else {
      for (const std::int64_t index : group) {
        const EncodedPair pair = pairs[static_cast<std::size_t>(index)];
        if (next.trees.new_tokens(pair) > tokens_left()) close();
        next.trees.add(pair);
        next.indices.push_back(index);
      }
    }
    rest = rest.subspan(group.size());
  }
  close();
}

std::vector<MicroBatch> split_micro_batches(const EncodedPairs& pairs, std::span<const std::int64_t> ordered,
                                            std::int64_t token_budget) {
  std::vector<MicroBatch> micro_batches;
  for_each_micro_batch(pairs, ordered, token_budget,
                       [&](MicroBatch next) { micro_batches.push_back(std::move(next)); });
  return micro_batches;
}

}  // namespace equipoise
