// What a group's loss cannot fall below when people disagree: robust.baseline label_entropy.
//
// Of the people asked, a share s prefers the chosen answer. Whatever h the policy gives the pair, the mean loss over
// their labels, s l(h) + (1-s) l(-h), is at least
//   DPO with label smoothing eps   H(s'), s' = (1-eps) s + eps (1-s), H(s) = -s log s - (1-s) log(1-s), in nats
//                                  reached where sigmoid(beta h) = s'
//   IPO                            s (1-s) / beta^2
//                                  reached at h = (2s-1) / (2 beta)
// Label noise is no part of it: the corrected loss has the mean of the clean labels, and s is a share of what people
// prefer, not of what was written down. loss.type robust: eps = 0, as its label_smoothing is the noise.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "common/dataset/preference_pair.h"

namespace equipoise {

// chosen_share in (0, 1]; loss.type dpo, ipo or robust.
double label_floor(const LossConfig& loss, double chosen_share);

// b_g = sum_i u_i m[i,g] floor_i / sum_i u_i m[i,g]
class MeanLabelFloors {
 public:
  MeanLabelFloors(const LossConfig& loss, std::size_t num_groups);

  // `weight` is u_i > 0: 1, or what a pair counts for in a mixture of files.
  void add(double chosen_share, std::span<const Membership> memberships, double weight = 1);
  std::vector<double> mean_K() const;  // [K], 0 for a group without pairs

 private:
  const LossConfig& loss_;
  std::vector<double> sum_K_;
  std::vector<double> weight_K_;
};

// b_g of each group by robust.baseline, for excess losses in the metrics: label_floor_K with label_entropy, NaN for a
// group that robust.group_baselines does not name. Empty without a baseline.
std::vector<double> baseline_K(const RobustConfig& robust, std::span<const std::string> group_names,
                               std::span<const double> label_floor_K);

}  // namespace equipoise
