// What one pass over pairs adds up to, for each group and over all: the numbers that ranks all-reduce.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "common/dataset/preference_pair.h"
#include "common/robust/group_weights.h"
#include "worker/collective/collective.h"

namespace equipoise {

// One pair's numbers, without graph.
struct PairOutcome {
  double loss = 0;
  double chosen_reward = 0;  // beta * (log pi - log pi_ref); 0 for SFT
  double rejected_reward = 0;
  double chosen_logp = 0;
  double rejected_logp = 0;
  double tokens = 0;  // processed: prompt and answers
};

class BatchSums {
 public:
  explicit BatchSums(std::size_t num_groups);

  void add(const PairOutcome& outcome, std::span<const Membership> memberships);
  // One all-reduce of 5K + 8 float64: five sums of each group, then the sums over all pairs.
  void all_reduce(Collective& collective);

  // S_g and n_g of the groups present (n_g > 0), for the weight update.
  GroupSums group_sums() const;
  // Groups present whose S_g is not finite.
  std::vector<std::uint32_t> non_finite_groups() const;

  std::size_t num_groups() const { return num_groups_; }
  double pairs() const { return total(kPairs); }
  double tokens() const { return total(kTokens); }
  // Means over all pairs.
  double loss() const { return mean(kLoss); }
  double chosen_reward() const { return mean(kChosenReward); }
  double rejected_reward() const { return mean(kRejectedReward); }
  double accuracy() const { return mean(kCorrect); }
  double chosen_logp() const { return mean(kChosenLogp); }
  double rejected_logp() const { return mean(kRejectedLogp); }
  // Of group g; NaN when it has no pair. Accuracy: share of pairs whose chosen reward is above the rejected one,
  // strictly.
  double group_pairs(std::size_t g) const { return at(kGroupPairs, g); }
  double group_loss(std::size_t g) const { return at(kGroupLoss, g) / at(kGroupPairs, g); }
  double group_accuracy(std::size_t g) const { return at(kGroupCorrect, g) / at(kGroupPairs, g); }
  double group_logp_accuracy(std::size_t g) const { return at(kGroupLogpCorrect, g) / at(kGroupPairs, g); }
  double group_margin(std::size_t g) const { return at(kGroupMargin, g) / at(kGroupPairs, g); }

 private:
  enum GroupRow { kGroupLoss, kGroupPairs, kGroupCorrect, kGroupLogpCorrect, kGroupMargin, kGroupRows };
  enum Total { kPairs, kTokens, kLoss, kChosenReward, kRejectedReward, kCorrect, kChosenLogp, kRejectedLogp, kTotals };

  double& at(GroupRow row, std::size_t g) { return values_[static_cast<std::size_t>(row) * num_groups_ + g]; }
  double at(GroupRow row, std::size_t g) const { return values_[static_cast<std::size_t>(row) * num_groups_ + g]; }
  double& total(Total which) { return values_[kGroupRows * num_groups_ + static_cast<std::size_t>(which)]; }
  double total(Total which) const { return values_[kGroupRows * num_groups_ + static_cast<std::size_t>(which)]; }
  double mean(Total which) const { return total(which) / total(kPairs); }

  std::size_t num_groups_;
  std::vector<double> values_;  // [kGroupRows * K + kTotals]
};

}  // namespace equipoise
