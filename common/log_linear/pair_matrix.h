// The feature differences x_i = phi(s_i, a+_i, g_i) - phi(s_i, a-_i, g_i), computed once: with the uniform reference
// policy the log-ratio of pair i is h_i = <x_i, theta>.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/log_linear/pair_kernel.h"
#include "common/log_linear/preference.h"
#include "common/log_linear/problem.h"

namespace equipoise::log_linear {

// Row-major, in the order of the data: what samplers, the closed form and the duality gap read.
struct PairMatrix {
  std::size_t groups = 0;              // K
  std::size_t dim = 0;                 // D
  std::vector<double> x_ND;            // [N, D]
  std::vector<std::uint32_t> group_N;  // [N], each in [0, K)

  std::size_t pairs() const { return group_N.size(); }
  std::span<const double> row(std::size_t pair) const { return std::span(x_ND).subspan(pair * dim, dim); }
  // N_g  [K]; 0 for a group without pairs.
  std::vector<double> group_counts() const;
};

// `preferences` as read_noted_preferences() checked them for `problem`.
PairMatrix make_pair_matrix(const Problem& problem, std::span<const Preference> preferences);

// A contiguous range of pairs; sizes of the W slices differ by at most one, and a slice may be empty.
struct PairRange {
  std::size_t first = 0;
  std::size_t end = 0;
};
PairRange slice_of(std::size_t pairs, std::size_t slice, std::size_t slices);

// Pairs of one group, as blocks of kLanes pairs with each feature contiguous: what the kernels read. Some or all pairs
// of a matrix: one rank's slice, or one batch.
class GroupedPairs {
 public:
  struct Segment {
    std::uint32_t group;
    double pairs;  // n_g > 0
    PairBlocks blocks;
  };

  // Replaces the content. Memory is only asked for when more is needed than ever before.
  void assign(const PairMatrix& matrix, PairRange range);
  // The pairs named, in any order; one named twice counts twice. Each below matrix.pairs().
  void assign(const PairMatrix& matrix, std::span<const std::int64_t> pairs);

  // Ascending by group, groups without pairs left out. Valid until the next assign().
  std::span<const Segment> segments() const { return segments_; }

 private:
  template <class PairAt>
  void fill(const PairMatrix& matrix, std::size_t count, PairAt pair_at);

  std::vector<std::size_t> next_slot_K_;  // while filling: where the group's next pair goes
  std::vector<double> x_;                 // [blocks, D, kLanes]
  std::vector<double> mask_;              // [blocks, kLanes]  1 for a pair, 0 for padding
  std::vector<Segment> segments_;
};

}  // namespace equipoise::log_linear
