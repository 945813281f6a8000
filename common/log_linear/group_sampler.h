// Batches for the stochastic algorithm: one group a step.
// Source: Ramesh et al. 2024 (arXiv:2405.20304), Algorithm 1: g with probability N_g / N, then pairs of g uniformly.
// With the estimator dataset_scaled, losses and gradients of these batches are unbiased.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

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

}  // namespace equipoise::log_linear
