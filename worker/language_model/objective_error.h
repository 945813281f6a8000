// Standard error of a step's objective, sum_g w_g L_g with L_g estimated from the batch and w as it is: as if the pairs
// were drawn independently of each other.
//   mode none                   of the mean loss of the batch, group_sums.h
//   dataset_scaled, batch_sum   of the mean of |B| c_i l_i, whose |B|-th parts add up to the objective
//   unbiased                    as batch_mean where the batch has exactly each group's share, so that scale_g is 1 /
//   n_g;
//                               else as dataset_scaled
//   batch_mean                  the objective is a sum of ratios S_g / n_g; to first order pair i moves it by
//                               z_i = v_i sum_g w_g k_g m[i,g] (l_i - L_g) / n_g
//                               error^2 = sum_i z_i^2; k_g^2 = n/(n-1) as in group_sums.h, for the pairs of g
// With one group each that is sqrt(sum_g w_g^2 error_g^2).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "common/robust/robust_settings.h"
#include "worker/language_model/batch_sums.h"

namespace equipoise {

// The pairs of this rank.
struct RankLosses {
  std::vector<double> loss_B;
  std::vector<std::span<const Membership>> memberships_B;
  std::vector<double> weight_B;  // v_i
};

// Of the groups present, in their order: w_g, and scale_g with L_g = scale_g S_g.
struct GroupFactors {
  std::span<const double> weight;
  std::span<const double> scale;
};

// `sums` have been reduced, their errors too; `objective` is sum_g w_g L_g. Every rank calls it: one all-reduce, but
// for mode none. None where a batch of one pair, or a sum of ratios with a group that weighs and has a single pair,
// does not say.
std::optional<double> objective_error(const RobustSettings& robust, const BatchSums& sums, double objective,
                                      const RankLosses& losses, const GroupFactors& factors, Collective& collective);

}  // namespace equipoise
