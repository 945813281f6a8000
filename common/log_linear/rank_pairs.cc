#include "common/log_linear/rank_pairs.h"

#include <span>
#include <stdexcept>

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

RankPairs::RankPairs(const PairMatrix& matrix, RankInfo rank) : matrix_(matrix), rank_(rank) {
  pairs_.assign(matrix, slice_of_rank(matrix.pairs(), rank));
}

RankPairs::RankPairs(const PairMatrix& matrix, RankInfo rank, OneGroupBatches batches)
    : matrix_(matrix), rank_(rank), sampled_pairs_(batches.batch_pairs) {
  if (batches.batch_pairs == 0) throw std::invalid_argument("batch_pairs is 0, expected at least 1");
  sampler_.emplace(matrix, batches.seed);
}

RankPairs::RankPairs(const PairMatrix& matrix, RankInfo rank, PlannedBatches batches)
    : matrix_(matrix), rank_(rank), planned_(batches) {}

const GroupedPairs& RankPairs::of_step(std::int64_t step) {
  if (sampler_) {
    sampler_->sample(step, sampled_pairs_, batch_);
    const PairRange mine = slice_of_rank(batch_.size(), rank_);
    pairs_.assign(matrix_, std::span<const std::int64_t>(batch_).subspan(mine.first, mine.end - mine.first));
  } else if (planned_) {
    batch_ = planned_->cursor.rank_batch(step, rank_.rank);
    pairs_.assign(matrix_, std::span<const std::int64_t>(batch_));
  }
  return pairs_;
}

PairRange slice_of_rank(std::size_t pairs, RankInfo rank) {
  return slice_of(pairs, static_cast<std::size_t>(rank.rank), static_cast<std::size_t>(rank.world_size));
}

}  // namespace equipoise::log_linear
