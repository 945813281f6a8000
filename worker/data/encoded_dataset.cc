// EncodedDataset of encoded_pair.h.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "common/base/quoted_text.h"
#include "worker/data/encoded_pair.h"

namespace equipoise {
namespace {

template <class Number>
void add_counts(std::vector<Number>& count_K, const std::vector<Number>& more_K) {
  count_K.resize(std::max(count_K.size(), more_K.size()));
  for (std::size_t g = 0; g < more_K.size(); ++g) count_K[g] += more_K[g];
}

}  // namespace

void EncodedDataset::append(EncodedDataset more) {
  const auto [mine, other] = std::ranges::mismatch(group_names, more.group_names);
  if (mine != group_names.end()) {
    throw std::invalid_argument("the data to append has no group " + quoted_text(*mine) + " in this place");
  }
  group_names = std::move(more.group_names);
  add_counts(pair_count_K, more.pair_count_K);
  add_counts(dropped_count_K, more.dropped_count_K);
  add_counts(shortened_count_K, more.shortened_count_K);
  add_counts(merged_prompt_count_K, more.merged_prompt_count_K);
  add_counts(repeated_prompt_count_K, more.repeated_prompt_count_K);
  num_shortened += more.num_shortened;
  num_merged_prompts += more.num_merged_prompts;
  num_repeated_prompts += more.num_repeated_prompts;
  pairs.append(std::move(more.pairs));
}

}  // namespace equipoise
