// How often a pair's label is wrong: loss.label_noise, by group.
//   nu_i = sum_g m[i,g] nu_g / sum_g m[i,g]      over the pair's groups that the job names; 0 where it names none
// A group that is not named says nothing about its labels, so that of nested or crossed groups the named one counts; a
// group named with 0 says that they are right. Memberships are read as the shares in which groups gave the label.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "common/dataset/preference_pair.h"

namespace equipoise {

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

}  // namespace equipoise
