#include "worker/data/attention_block.h"

#include <algorithm>
#include <numeric>

namespace equipoise {
namespace {

// [S, S] of one pair. A row of padding sees itself, because a softmax over nothing is not a number.
void fill_mask(const PairLengths& pair, std::int64_t longest, bool* mask_SS) {
  const std::int64_t rejected_begin = pair.prompt + pair.chosen;
  for (std::int64_t query = 0; query < longest; ++query) {
    bool* const row = mask_SS + query * longest;
    if (query >= pair.total()) {
      row[query] = true;
    } else if (query < rejected_begin) {
      std::fill(row, row + query + 1, true);
    } else {
      std::fill(row, row + pair.prompt, true);
      std::fill(row + rejected_begin, row + query + 1, true);
    }
  }
}

AttentionBlock make_block(std::span<const PairLengths> pairs, std::int64_t first_row, torch::Device device) {
  AttentionBlock block;
  block.first_row = first_row;
  block.num_pairs = static_cast<std::int64_t>(pairs.size());
  block.longest = pairs.front().total();
  block.mask_DSS = torch::zeros({block.num_pairs, block.longest, block.longest}, torch::kBool);
  std::vector<std::int64_t> slot;
  for (std::int64_t d = 0; d < block.num_pairs; ++d) {
    const PairLengths& pair = pairs[static_cast<std::size_t>(d)];
    fill_mask(pair, block.longest, block.mask_DSS.data_ptr<bool>() + d * block.longest * block.longest);
    slot.resize(slot.size() + static_cast<std::size_t>(pair.total()));
    std::iota(slot.end() - pair.total(), slot.end(), d * block.longest);
  }
  block.num_rows = static_cast<std::int64_t>(slot.size());
  block.slot_N = torch::tensor(slot, torch::kInt64).to(device);
  block.mask_DSS = block.mask_DSS.to(device);
  return block;
}

}  // namespace

std::vector<AttentionBlock> attention_blocks(std::span<const PairLengths> longest_first, torch::Device device) {
  std::vector<AttentionBlock> blocks;
  std::int64_t first_row = 0;
  for (auto begin = longest_first.begin(); begin != longest_first.end();) {
    const auto end = std::find_if(begin, longest_first.end(), [&](const PairLengths& pair) {
      return 2 * pair.total() < begin->total() || pair.total() == 0;
    });
    if (end == begin) break;  // the rest has no token at all
    blocks.push_back(make_block({begin, end}, first_row, device));
    first_row += blocks.back().num_rows;
    begin = end;
  }
  return blocks;
}

}  // namespace equipoise
