#include "worker/train/batch_sums.h"

#include <cmath>

#include "worker/objective/group_sums.h"

namespace equipoise {

BatchSums::BatchSums(std::size_t num_groups) : num_groups_(num_groups), values_(kGroupRows * num_groups + kTotals) {}

void BatchSums::add(const PairOutcome& outcome, std::span<const Membership> memberships, double weight) {
  const double correct = outcome.chosen_reward > outcome.rejected_reward ? 1 : 0;
  const double logp_correct = outcome.chosen_logp > outcome.rejected_logp ? 1 : 0;
  for (const Membership& membership : memberships) {
    const double share = weight * membership.weight;
    at(kGroupLoss, membership.group) += share * outcome.loss;
    at(kGroupWeight, membership.group) += share;
    at(kGroupPairs, membership.group) += membership.weight;
    at(kGroupCorrect, membership.group) += share * correct;
    at(kGroupLogpCorrect, membership.group) += share * logp_correct;
    at(kGroupMargin, membership.group) += share * (outcome.chosen_reward - outcome.rejected_reward);
    at(kGroupNll, membership.group) += share * outcome.nll;
  }
  total(kPairs) += 1;
  total(kWeight) += weight;
  total(kTokens) += outcome.tokens;
  total(kLoss) += weight * outcome.loss;
  total(kChosenReward) += weight * outcome.chosen_reward;
  total(kRejectedReward) += weight * outcome.rejected_reward;
  total(kCorrect) += weight * correct;
  total(kChosenLogp) += weight * outcome.chosen_logp;
  total(kRejectedLogp) += weight * outcome.rejected_logp;
  total(kNll) += weight * outcome.nll;
}

void BatchSums::all_reduce(Collective& collective) { collective.all_reduce_sum(values_); }

GroupSums BatchSums::group_sums() const {
  const std::span values(values_);
  return present_groups(values.subspan(kGroupLoss * num_groups_, num_groups_),
                        values.subspan(kGroupWeight * num_groups_, num_groups_), pairs());
}

std::vector<std::uint32_t> BatchSums::non_finite_groups() const {
  std::vector<std::uint32_t> groups;
  for (std::size_t g = 0; g < num_groups_; ++g) {
    if (!std::isfinite(at(kGroupLoss, g))) groups.push_back(static_cast<std::uint32_t>(g));
  }
  return groups;
}

}  // namespace equipoise
