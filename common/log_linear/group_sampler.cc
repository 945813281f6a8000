#include "common/log_linear/group_sampler.h"

#include "common/log_linear/random_stream.h"

namespace equipoise::log_linear {

GroupSampler::GroupSampler(const PairMatrix& matrix, std::uint64_t seed)
    : seed_(seed), by_group_(matrix.pairs()), first_K1_(matrix.groups + 1, 0), group_N_(matrix.group_N) {
  for (const std::uint32_t group : group_N_) ++first_K1_[group + 1];
  for (std::size_t g = 0; g < matrix.groups; ++g) first_K1_[g + 1] += first_K1_[g];
  std::vector<std::size_t> next = first_K1_;
  for (std::size_t pair = 0; pair < group_N_.size(); ++pair) {
    by_group_[next[group_N_[pair]]++] = static_cast<std::int64_t>(pair);
  }
}

void GroupSampler::sample(std::int64_t step, std::size_t batch_pairs, std::vector<std::int64_t>& pairs) const {
  SplitMix64 random = random_stream(seed_, Stream::kSampling, static_cast<std::uint64_t>(step));
  // The group of a uniformly drawn pair has probability N_g / N.
  const std::uint32_t group = group_N_[random.below(group_N_.size())];
  const std::size_t first = first_K1_[group];
  const std::size_t size = first_K1_[group + 1] - first;
  pairs.clear();
  for (std::size_t i = 0; i < batch_pairs; ++i) pairs.push_back(by_group_[first + random.below(size)]);
}

}  // namespace equipoise::log_linear
