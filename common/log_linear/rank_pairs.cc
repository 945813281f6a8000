#include "common/log_linear/rank_pairs.h"

#include <span>
#include <stdexcept>

namespace equipoise::log_linear {

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
