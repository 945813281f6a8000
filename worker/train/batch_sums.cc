#include "worker/train/batch_sums.h"

#include <cmath>

#include "worker/objective/group_sums.h"

namespace equipoise {

BatchSums::BatchSums(std::size_t num_groups) : num_groups_(num_groups), values_(kGroupRows * num_groups + kTotals) {}

void BatchSums::add(const PairOutcome& outcome, std::span<const Membership> memberships) {
  const double correct = outcome.chosen_reward > outcome.rejected_reward ? 1 : 0;
  const double logp_correct = outcome.chosen_logp > outcome.rejected_logp ? 1 : 0;
  for (const Membership& membership : memberships) {
    at(kGroupLoss, membership.group) += membership.weight * outcome.loss;
    at(kGroupPairs, membership.group) += membership.weight;
    at(kGroupCorrect, membership.group) += membership.weight * correct;
    at(kGroupLogpCorrect, membership.group) += membership.weight * logp_correct;
    at(kGroupMargin, membership.group) += membership.weight * (outcome.chosen_reward - outcome.rejected_reward);
  }
  total(kPairs) += 1;
  total(kTokens) += outcome.tokens;
  total(kLoss) += outcome.loss;
  total(kChosenReward) += outcome.chosen_reward;
  total(kRejectedReward) += outcome.rejected_reward;
  total(kCorrect) += correct;
  total(kChosenLogp) += outcome.chosen_logp;
  total(kRejectedLogp) += outcome.rejected_logp;
}

void BatchSums::all_reduce(Collective& collective) { collective.all_reduce_sum(values_); }

GroupSums BatchSums::group_sums() const {
  const std::span values(values_);
  return present_groups(values.subspan(kGroupLoss * num_groups_, num_groups_),
                        values.subspan(kGroupPairs * num_groups_, num_groups_), pairs());
}

std::vector<std::uint32_t> BatchSums::non_finite_groups() const {
  std::vector<std::uint32_t> groups;
  for (std::size_t g = 0; g < num_groups_; ++g) {
    if (!std::isfinite(at(kGroupLoss, g))) groups.push_back(static_cast<std::uint32_t>(g));
  }
  return groups;
}

}  // namespace equipoise
