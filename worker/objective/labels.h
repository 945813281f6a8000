// What the people who labelled a pair disagree about: how often its label is wrong, and what a group's loss cannot fall
// below.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "common/dataset/preference_pair.h"

namespace equipoise {

// How often a pair's label is wrong: loss.label_noise, by group.
//   nu_i = sum_g m[i,g] nu_g / sum_g m[i,g]      over the pair's groups that the job names; 0 where it names none
// A group that is not named says nothing about its labels, so that of nested or crossed groups the named one counts; a
// group named with 0 says that they are right. Memberships are read as the shares in which groups gave the label.
class LabelNoise {
 public:
  // Groups of the training data, in the order of their ids. loss.type robust: loss.label_smoothing is the noise of all.
  // Throws std::invalid_argument where loss.label_noise names a group that is not there.
  LabelNoise(const LossConfig& loss, std::span<const std::string> group_names);

  // Whether the job corrects for any.
  bool is_corrected() const { return of_all_ > 0 || !noise_K_.empty(); }
  // nu of a pair; its groups may have ids beyond the training data's. Memberships are not empty.
  double of(std::span<const Membership> memberships) const;

 private:
  double of_all_ = 0;
  std::vector<double> noise_K_;  // [K], negative for a group that is not named; empty where none is
};

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
