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
  double nll = 0;     // -log pi of the chosen answer per token, with an SFT term; else 0
  double tokens = 0;  // processed: prompt and answers
};

class BatchSums {
 public:
  explicit BatchSums(std::size_t num_groups);

  // `weight` is the pair's in every sum but pairs(), tokens() and group_pairs(): ShardCursor::pair_weight.
  void add(const PairOutcome& outcome, std::span<const Membership> memberships, double weight = 1);
  // One all-reduce of 7K + 10 float64: seven sums of each group, then the sums over all pairs.
  void all_reduce(Collective& collective);

  // S_g, n_g and |B| of the groups present (n_g > 0), for the weight update.
  GroupSums group_sums() const;
  // Groups present whose S_g is not finite.
  std::vector<std::uint32_t> non_finite_groups() const;

  std::size_t num_groups() const { return num_groups_; }
  double pairs() const { return total(kPairs); }
  double tokens() const { return total(kTokens); }
  // Means over all pairs. The loss is divided by their number and the others by their weights, which is the same unless
  // a batch is without a stratum: then only the former is unbiased, and only the latter keeps a rate below 1.
  double loss() const { return total(kLoss) / total(kPairs); }
  double chosen_reward() const { return mean(kChosenReward); }
  double rejected_reward() const { return mean(kRejectedReward); }
  double accuracy() const { return mean(kCorrect); }
  double chosen_logp() const { return mean(kChosenLogp); }
  double rejected_logp() const { return mean(kRejectedLogp); }
  double nll() const { return mean(kNll); }
  // Of group g; NaN when it has no pair. Accuracy: share of pairs whose chosen reward is above the rejected one,
  // strictly.
  double group_pairs(std::size_t g) const { return at(kGroupPairs, g); }
  double group_loss(std::size_t g) const { return at(kGroupLoss, g) / at(kGroupWeight, g); }
  double group_nll(std::size_t g) const { return at(kGroupNll, g) / at(kGroupWeight, g); }
  double group_accuracy(std::size_t g) const { return at(kGroupCorrect, g) / at(kGroupWeight, g); }
  double group_logp_accuracy(std::size_t g) const { return at(kGroupLogpCorrect, g) / at(kGroupWeight, g); }
  double group_margin(std::size_t g) const { return at(kGroupMargin, g) / at(kGroupWeight, g); }

 private:
  enum GroupRow {
    kGroupLoss,
    kGroupWeight,
    kGroupPairs,
    kGroupCorrect,
    kGroupLogpCorrect,
    kGroupMargin,
    kGroupNll,
    kGroupRows
  };
  enum Total {
    kPairs,
    kWeight,
    kTokens,
    kLoss,
    kChosenReward,
    kRejectedReward,
    kCorrect,
    kChosenLogp,
    kRejectedLogp,
    kNll,
    kTotals
  };

  double& at(GroupRow row, std::size_t g) { return values_[static_cast<std::size_t>(row) * num_groups_ + g]; }
  double at(GroupRow row, std::size_t g) const { return values_[static_cast<std::size_t>(row) * num_groups_ + g]; }
  double& total(Total which) { return values_[kGroupRows * num_groups_ + static_cast<std::size_t>(which)]; }
  double total(Total which) const { return values_[kGroupRows * num_groups_ + static_cast<std::size_t>(which)]; }
  double mean(Total which) const { return total(which) / total(kWeight); }

  std::size_t num_groups_;
  std::vector<double> values_;  // [kGroupRows * K + kTotals]
};

}  // namespace equipoise
