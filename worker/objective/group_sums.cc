#include "worker/objective/group_sums.h"

#include <algorithm>

#include "common/base/error.h"

namespace equipoise {

GroupSums present_groups(std::span<const double> loss_sum_K, std::span<const double> pair_count_K, double batch_pairs) {
  EQUIPOISE_CHECK(loss_sum_K.size() == pair_count_K.size());
  GroupSums sums;
  sums.batch_pairs = batch_pairs;
  for (std::size_t g = 0; g < pair_count_K.size(); ++g) {
    if (!(pair_count_K[g] > 0)) continue;
    sums.group.push_back(static_cast<std::uint32_t>(g));
    sums.loss_sum.push_back(loss_sum_K[g]);
    sums.pair_count.push_back(pair_count_K[g]);
  }
  return sums;
}

std::vector<double> pair_coefficients(MembershipsOfPairs memberships_B, const GroupSums& sums,
                                      std::span<const double> weight, std::span<const double> scale) {
  EQUIPOISE_CHECK(weight.size() == sums.group.size() && scale.size() == sums.group.size());
  std::vector<double> coefficient_B;
  for (const std::span<const Membership> memberships : memberships_B) {
    double coefficient = 0;
    for (const Membership& membership : memberships) {
      const auto found = std::ranges::lower_bound(sums.group, membership.group);
      if (found == sums.group.end() || *found != membership.group) continue;
      const auto i = static_cast<std::size_t>(found - sums.group.begin());
      coefficient += weight[i] * scale[i] * membership.weight;
    }
    coefficient_B.push_back(coefficient);
  }
  return coefficient_B;
}

}  // namespace equipoise
