// Per-pair numbers summed over groups, and group weights turned back into a coefficient for each pair.
// Source: Ramesh et al. 2024 (arXiv:2405.20304), Algorithm 1, with memberships m[i,g] in place of one group a pair.
//   S_g = sum_i m[i,g] l_i      n_g = sum_i m[i,g]      c_i = sum_g w_g scale_g m[i,g]
// so that sum_i c_i l_i = sum_g w_g scale_g S_g. Everything in float64, added in the order of the pairs.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "common/dataset/preference_pair.h"
#include "common/robust/group_weights.h"

namespace equipoise {

// The groups of each pair of a batch: [B], each ascending by group and below K.
using MembershipsOfPairs = std::span<const std::span<const Membership>>;

// The groups with n_g > 0 of dense sums, [K] each, over a batch of `batch_pairs` pairs.
GroupSums present_groups(std::span<const double> loss_sum_K, std::span<const double> pair_count_K, double batch_pairs);

// c_i of each pair, [B]. `weight` and `scale` go with sums.group; a group that is not there counts as 0.
std::vector<double> pair_coefficients(MembershipsOfPairs memberships_B, const GroupSums& sums,
                                      std::span<const double> weight, std::span<const double> scale);

// Means over pairs, and how far they may be from the truth.
//   mean = sum_i w_i x_i / W,   W = sum_i w_i
//   error = sqrt(n/(n-1) sum_i w_i^2 (x_i - mean)^2) / W,   n = W^2 / sum_i w_i^2
// For w = 1 that is the sample's standard deviation over sqrt(n). For a mean over tokens, w_i tokens and x_i their mean
// of pair i, it is the error of a ratio of two sums over pairs: pairs are what is drawn, tokens come with them.

// sum_i w_i^2 (x_i - mean)^2 about a mean that is known only later: of a part of the values, which every rank adds up
// for itself, about the mean of all. Welford's update, so that nothing cancels where the spread is small.
class WeightedSpread {
 public:
  // A weight of 0 adds nothing.
  void add(double value, double weight);
  double about(double mean) const;
  double weight_squared() const { return weight_squared_; }  // sum_i w_i^2

 private:
  double weight_squared_ = 0;
  double centre_ = 0;  // sum_i w_i^2 x_i / sum_i w_i^2
  double spread_ = 0;  // about the centre
};

// From the sums over all values; none where that is a single one (of any weight), or not finite.
struct SpreadSums {
  double weight = 0;          // W
  double weight_squared = 0;  // sum_i w_i^2
  double spread = 0;          // sum_i w_i^2 (x_i - mean)^2
};
std::optional<double> standard_error(const SpreadSums& sums);

struct MeanWithError {
  double mean = 0;
  std::optional<double> error;
};

// Of the pairs that weigh more than 0: none if there is no such pair. value_N and weight_N are of one length.
std::optional<MeanWithError> weighted_mean(std::span<const double> value_N, std::span<const double> weight_N);

}  // namespace equipoise
