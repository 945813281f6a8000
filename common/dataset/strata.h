// Each pair's stratum: the group for whose share of a batch it is drawn. Strata do not overlap, groups may.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/dataset/preference_pair.h"

namespace equipoise {

struct Strata {
  std::vector<std::uint32_t> stratum_N;  // [N] of each pair, the id of a group it is in
  std::vector<double> share_K;           // [K] of a batch, sums to 1; 0 for a group that is no pair's stratum
};

// The smallest group that a pair is in, by N_g = sum_i m[i,g] over these pairs; of equals the one with the greater id,
// which is the lower level. A group that consists of smaller ones, as "Asia" does of "Asia/India" and its like, is then
// no pair's stratum: its pairs come with theirs.
//   memberships_N  [N]  not empty each, groups in [0, num_groups)
std::vector<std::uint32_t> smallest_groups(std::span<const std::span<const Membership>> memberships_N,
                                           std::size_t num_groups);

// `group_shares` (training.group_shares) normalised; equal ones if it is empty.
//   stratum_N  [N]  ids in [0, K)
// Throws std::invalid_argument naming a group of `group_shares` that the data does not have or that is no pair's
// stratum, or a stratum without a share.
Strata make_strata(std::vector<std::uint32_t> stratum_N, const std::vector<std::string>& group_names,
                   const std::map<std::string, double>& group_shares);

}  // namespace equipoise
