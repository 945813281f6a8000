// Per-pair numbers summed over groups, and group weights turned back into a coefficient for each pair.
// Source: Ramesh et al. 2024 (arXiv:2405.20304), Algorithm 1, with memberships m[i,g] in place of one group a pair.
//   S_g = sum_i m[i,g] l_i      n_g = sum_i m[i,g]      c_i = sum_g w_g scale_g m[i,g]
// so that sum_i c_i l_i = sum_g w_g scale_g S_g. Everything in float64, added in the order of the pairs.
#pragma once

#include <cstddef>
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

}  // namespace equipoise
