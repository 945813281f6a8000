#include "worker/data/packed_batch.h"

#include <algorithm>
#include <numeric>

#include "common/base/error.h"
#include "worker/data/attention_block.h"

namespace equipoise {
namespace {

std::int64_t length(std::span<const std::int32_t> ids) { return static_cast<std::int64_t>(ids.size()); }

PairLengths lengths(const EncodedPair& pair) {
  return {.prompt = length(pair.prompt_ids), .chosen = length(pair.chosen_ids), .rejected = length(pair.rejected_ids)};
}

class Packer {
 public:
  explicit Packer(std::size_t num_pairs) : answer_tokens_(2 * num_pairs) {}

  void add(const EncodedPair& pair, std::int64_t b) {
    const auto prompt_row = static_cast<std::int64_t>(token_.size());
    append(pair.prompt_ids, 0);
    add_answer(pair.chosen_ids, {.prompt_row = prompt_row, .prompt_length = length(pair.prompt_ids), .answer = 2 * b});
    add_answer(pair.rejected_ids,
               {.prompt_row = prompt_row, .prompt_length = length(pair.prompt_ids), .answer = 2 * b + 1});
  }

  void move_to(PackedBatch& batch, torch::Device device) const {
    const auto tensor = [&](const std::vector<std::int64_t>& values) {
      return torch::tensor(values, torch::kInt64).to(device);
    };
    batch.token_T = tensor(token_);
    batch.position_T = tensor(position_);
    batch.source_C = tensor(source_);
    batch.target_C = tensor(target_);
    batch.answer_C = tensor(answer_);
    batch.answer_tokens_B2 = tensor(answer_tokens_).view({-1, 2});
    batch.largest_token = token_.empty() ? 0 : *std::max_element(token_.begin(), token_.end());
    batch.largest_position = position_.empty() ? 0 : *std::max_element(position_.begin(), position_.end());
  }

 private:
  struct Place {
    std::int64_t prompt_row, prompt_length, answer;
  };

  void append(std::span<const std::int32_t> ids, std::int64_t first_position) {
    token_.insert(token_.end(), ids.begin(), ids.end());
    position_.resize(token_.size());
    std::iota(position_.end() - length(ids), position_.end(), first_position);
  }

  void add_answer(std::span<const std::int32_t> ids, Place place) {
    const auto answer_row = static_cast<std::int64_t>(token_.size());
    for (std::int64_t k = place.prompt_length == 0 ? 1 : 0; k < length(ids); ++k) {
      source_.push_back(k == 0 ? place.prompt_row + place.prompt_length - 1 : answer_row + k - 1);
      target_.push_back(ids[static_cast<std::size_t>(k)]);
      answer_.push_back(place.answer);
    }
    answer_tokens_[static_cast<std::size_t>(place.answer)] = length(ids);
    append(ids, place.prompt_length);
  }

  std::vector<std::int64_t> token_, position_, source_, target_, answer_, answer_tokens_;
};

}  // namespace

PackedBatch pack_pairs(const EncodedPairs& pairs, std::span<const std::int64_t> indices, torch::Device device) {
  EQUIPOISE_CHECK(!indices.empty());
  const auto pair_of = [&](std::size_t b) -> EncodedPair { return pairs[static_cast<std::size_t>(indices[b])]; };
  std::vector<std::size_t> order(indices.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return pair_of(a).num_tokens() > pair_of(b).num_tokens(); });

  Packer packer(indices.size());
  std::vector<PairLengths> longest_first;
  for (const std::size_t b : order) {
    packer.add(pair_of(b), static_cast<std::int64_t>(b));
    longest_first.push_back(lengths(pair_of(b)));
  }
  PackedBatch batch;
  packer.move_to(batch, device);
  batch.blocks = attention_blocks(longest_first, device);
  batch.num_pairs = static_cast<std::int64_t>(indices.size());
  return batch;
}

std::vector<std::vector<std::int64_t>> split_micro_batches(const EncodedPairs& pairs,
                                                           std::span<const std::int64_t> indices,
                                                           std::int64_t token_budget) {
  std::vector<std::vector<std::int64_t>> micro_batches;
  std::int64_t tokens_left = 0;
  for (const std::int64_t index : indices) {
    const auto tokens = static_cast<std::int64_t>(pairs[static_cast<std::size_t>(index)].num_tokens());
    if (micro_batches.empty() || tokens > tokens_left) {
      micro_batches.emplace_back();
      tokens_left = token_budget;
    }
    micro_batches.back().push_back(index);
    tokens_left -= tokens;
  }
  return micro_batches;
}

}  // namespace equipoise
