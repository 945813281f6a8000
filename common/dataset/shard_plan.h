// Which pairs each rank trains on at each step. Every rank derives it from the same few numbers; no index travels.
#pragma once

#include <cstdint>
#include <vector>

namespace equipoise {

struct ShardPlan {
  std::uint64_t seed = 0;
  bool shuffle = true;
  std::int64_t num_pairs = 0;          // N > 0
  std::int64_t global_batch_size = 0;  // B > 0
  int world_size = 1;                  // W > 0
  std::int64_t first_step = 0;
  std::int64_t end_step = 0;
};

// Steps of one epoch: ceil(N / B). The last batch of an epoch may be smaller; no pair is used twice.
std::int64_t steps_per_epoch(std::int64_t num_pairs, std::int64_t global_batch_size);

// The order of an epoch is permutation(seed, epoch), made by our own Fisher-Yates over a SplitMix64 stream, so
// that every standard library gives the same one; the identity without shuffle.
std::vector<std::int64_t> epoch_order(const ShardPlan& plan, std::int64_t epoch);

// Walks the plan. Keeps one epoch's order at a time.
class ShardCursor {
 public:
  explicit ShardCursor(ShardPlan plan);  // throws std::invalid_argument on a plan out of range

  // Pair indices of the whole global batch of `step`, in order: positions [t*B, (t+1)*B) of its epoch.
  const std::vector<std::int64_t>& global_batch(std::int64_t step);
  // The contiguous part of it that belongs to `rank`: sizes differ by at most one; may be empty.
  std::vector<std::int64_t> rank_batch(std::int64_t step, int rank);
  // Epochs done when `step` steps are done, fractional.
  double epochs_done(std::int64_t step) const;

 private:
  ShardPlan plan_;
  std::int64_t epoch_ = -1;
  std::vector<std::int64_t> order_;
  std::int64_t batch_step_ = -1;
  std::vector<std::int64_t> batch_;
};

}  // namespace equipoise
