// Which pairs each rank trains on at each step. Every rank derives it from the same few numbers; no index travels.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/dataset/stratified_order.h"

namespace equipoise {

struct ShardPlan {
  std::uint64_t seed = 0;
  bool shuffle = true;
  std::int64_t num_pairs = 0;          // N > 0
  std::int64_t global_batch_size = 0;  // B > 0
  int world_size = 1;                  // W > 0
  bool stratified = false;             // batches as stratified_order.h says: of B pairs each
  bool mixed = false;                  // the same, as worker/data/file_mixture.h says; not both
  std::int64_t first_step = 0;
  std::int64_t end_step = 0;
};

// Steps of one epoch: ceil(N / B). The last batch of an epoch may be smaller; no pair is used twice. (Stratified or
// mixed: the same number of steps, in which a group or a file comes as often as its share says.)
std::int64_t steps_per_epoch(std::int64_t num_pairs, std::int64_t global_batch_size);

// The order of an epoch is permutation(seed, epoch), made by our own Fisher-Yates over a SplitMix64 stream, so
// that every standard library gives the same one; the identity without shuffle.
std::vector<std::int64_t> epoch_order(const ShardPlan& plan, std::int64_t epoch);

// Walks the plan. Keeps one epoch's order at a time.
class ShardCursor {
 public:
  // Throws std::invalid_argument on a plan out of range, and as StratifiedOrder. `strata` of its pairs go with a
  // stratified or a mixed plan, and with no other.
  explicit ShardCursor(ShardPlan plan, const std::optional<Strata>& strata = std::nullopt);

  // Pair indices of the whole global batch of `step`, in order: positions [t*B, (t+1)*B) of its epoch, or
  // StratifiedOrder's.
  const std::vector<std::int64_t>& global_batch(std::int64_t step);
  // The contiguous part of it that belongs to `rank`: sizes differ by at most one; may be empty.
  std::vector<std::int64_t> rank_batch(std::int64_t step, int rank);
  // What a pair of that batch weighs in sums over it, so that they are of the data: 1 unless stratified.
  double pair_weight(std::int64_t step, std::int64_t pair);
  // The same by the group that is the pair's stratum; of a stratified plan or one without strata.
  double group_weight(std::int64_t step, std::uint32_t group);
  // Epochs done when `step` steps are done, fractional.
  double epochs_done(std::int64_t step) const;

 private:
  ShardPlan plan_;
  std::int64_t epoch_ = -1;
  std::vector<std::int64_t> order_;
  std::optional<StratifiedOrder> stratified_;  // or mixed
  std::int64_t batch_step_ = -1;
  std::vector<std::int64_t> batch_;
};

}  // namespace equipoise
