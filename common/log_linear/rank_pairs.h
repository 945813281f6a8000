// Which pairs of a step are one rank's: a batch of all groups, or, in the stochastic algorithm, one group a step. Every
// rank derives its own from the same few numbers; no index travels.
// Source: Ramesh et al. 2024 (arXiv:2405.20304), Algorithm 1: g with probability N_g / N, then pairs of g uniformly.
// With the estimator dataset_scaled, losses and gradients of these batches are unbiased.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/collective/host_collective.h"
#include "common/dataset/shard_plan.h"
#include "common/log_linear/pair_matrix.h"

namespace equipoise::log_linear {

class GroupSampler {
 public:
  GroupSampler(const PairMatrix& matrix, std::uint64_t seed);

  // The pairs of `step`, all of one group, with replacement: a function of the seed and the step alone, so that every
  // rank draws the same and a resumed run draws what it would have drawn.
  void sample(std::int64_t step, std::size_t batch_pairs, std::vector<std::int64_t>& pairs) const;

 private:
  std::uint64_t seed_;
  std::vector<std::int64_t> by_group_;  // [N], pairs of group 0 first
  std::vector<std::size_t> first_K1_;   // [K + 1], where a group begins in by_group_
  std::vector<std::uint32_t> group_N_;
};

// Batches of pairs of one group, drawn as GroupSampler does.
struct OneGroupBatches {
  std::uint64_t seed = 0;
  std::size_t batch_pairs = 1;  // >= 1
};

// Batches of a plan. `cursor` is at its rank's disposal and outlives the RankPairs.
struct PlannedBatches {
  ShardCursor& cursor;
  bool are_weighted = false;  // by the cursor's group_weight(): stratified batches
};

// Not thread-safe.
class RankPairs {
 public:
  // `matrix` outlives it. Every step has the whole matrix, a batch of one group, or a batch of the plan.
  RankPairs(const PairMatrix& matrix, RankInfo rank);
  RankPairs(const PairMatrix& matrix, RankInfo rank, OneGroupBatches batches);
  RankPairs(const PairMatrix& matrix, RankInfo rank, PlannedBatches batches);

  // Valid until the next call. Of a full batch, asks for no memory.
  const GroupedPairs& of_step(std::int64_t step);

  // Whether pairs weigh otherwise than 1 in sums over a batch, and what each of a group weighs in that of `step`.
  bool are_weighted() const { return planned_ && planned_->are_weighted; }
  double group_weight(std::int64_t step, std::uint32_t group) { return planned_->cursor.group_weight(step, group); }

 private:
  const PairMatrix& matrix_;
  RankInfo rank_;
  std::optional<GroupSampler> sampler_;
  std::size_t sampled_pairs_ = 0;
  std::optional<PlannedBatches> planned_;
  std::vector<std::int64_t> batch_;
  GroupedPairs pairs_;
};

// This rank's contiguous part of so many pairs.
PairRange slice_of_rank(std::size_t pairs, RankInfo rank);

}  // namespace equipoise::log_linear
