#include "worker/language_model/batch_sums.h"

#include <cmath>

#include "worker/objective/group_sums.h"

namespace equipoise {
namespace {

constexpr std::array kEachMeasure = {Measure::kLoss,           Measure::kNll,           Measure::kChosenReward,
                                     Measure::kRejectedReward, Measure::kCorrect,       Measure::kMargin,
                                     Measure::kChosenLogp,     Measure::kRejectedLogp,  Measure::kLogpCorrect,
                                     Measure::kEntropy,        Measure::kTokenAccuracy, Measure::kChosenLogits,
                                     Measure::kRejectedLogits};
static_assert(kEachMeasure.size() == static_cast<std::size_t>(Measure::kMeasures));

constexpr std::size_t index(Measure measure) { return static_cast<std::size_t>(measure); }

double share_of(double sum, double tokens) { return tokens > 0 ? sum / tokens : 0; }

}  // namespace

BatchSums::BatchSums(std::size_t num_groups, LossMean loss_mean)
    : num_groups_(num_groups),
      loss_mean_(loss_mean),
      values_(kRows * columns() + 2),
      spreads_(kNumMeasures * columns()) {}

BatchSums::Numbers BatchSums::numbers_of(const PairOutcome& outcome) {
  Numbers numbers{};
  const auto set = [&](Measure measure, double value) { numbers[index(measure)] = value; };
  set(Measure::kLoss, outcome.loss);
  set(Measure::kNll, outcome.nll);
  set(Measure::kChosenReward, outcome.chosen_reward);
  set(Measure::kRejectedReward, outcome.rejected_reward);
  set(Measure::kCorrect, outcome.chosen_reward > outcome.rejected_reward ? 1 : 0);
  set(Measure::kMargin, outcome.chosen_reward - outcome.rejected_reward);
  set(Measure::kChosenLogp, outcome.chosen_logp);
  set(Measure::kRejectedLogp, outcome.rejected_logp);
  set(Measure::kLogpCorrect, outcome.chosen_logp > outcome.rejected_logp ? 1 : 0);
  if (!outcome.answers) return numbers;
  const TokenSums& sums = *outcome.answers;
  set(Measure::kEntropy, share_of(sums.entropy, sums.chosen_tokens + sums.rejected_tokens));
  set(Measure::kTokenAccuracy, share_of(sums.chosen_first, sums.chosen_tokens));
  set(Measure::kChosenLogits, share_of(sums.chosen_logits, sums.chosen_tokens));
  set(Measure::kRejectedLogits, share_of(sums.rejected_logits, sums.rejected_tokens));
  return numbers;
}

BatchSums::Weights BatchSums::weights_of(const PairOutcome& outcome) {
  if (!outcome.answers) return {1, 0, 0, 0};
  const TokenSums& sums = *outcome.answers;
  return {1, sums.chosen_tokens + sums.rejected_tokens, sums.chosen_tokens, sums.rejected_tokens};
}

bool BatchSums::is_of_pairs(Measure measure, std::size_t column) const {
  return loss_mean_ == LossMean::kOverPairs && measure == Measure::kLoss && column == num_groups_;
}

std::size_t BatchSums::square_row(Measure measure) { return kNumMeasures + weight_row(measure) - kPairWeight; }

BatchSums::Row BatchSums::weight_row(Measure measure) {
  switch (measure) {
    case Measure::kEntropy:
      return kAnswerTokens;
    case Measure::kTokenAccuracy:
    case Measure::kChosenLogits:
      return kChosenTokens;
    case Measure::kRejectedLogits:
      return kRejectedTokens;
    default:
      return kPairWeight;
  }
}

void BatchSums::add(const PairOutcome& outcome, std::span<const Membership> memberships, double weight) {
  const Numbers numbers = numbers_of(outcome);
  const Weights weights = weights_of(outcome);
  for (const Membership& membership : memberships) {
    add_to(membership.group, numbers, weights, weight * membership.weight);
    at(kPairs, membership.group) += membership.weight;
  }
  add_to(num_groups_, numbers, weights, weight);
  at(kPairs, num_groups_) += 1;
  values_[kRows * columns()] += outcome.tokens;
  values_[kRows * columns() + 1] += outcome.sequence_tokens;
}

void BatchSums::add_to(std::size_t column, const Numbers& numbers, const Weights& weights, double share) {
  for (std::size_t w = 0; w < weights.size(); ++w) at(kPairWeight + w, column) += share * weights[w];
  for (const Measure measure : kEachMeasure) {
    const double weight = share * weights[weight_row(measure) - kPairWeight];
    const double value = numbers[index(measure)];
    if (weight == 0) continue;
    at(index(measure), column) += weight * value;
    WeightedSpread& spread = spreads_[index(measure) * columns() + column];
    is_of_pairs(measure, column) ? spread.add(weight * value, 1) : spread.add(value, weight);
  }
}

void BatchSums::all_reduce(Collective& collective) { collective.all_reduce_sum(values_); }

void BatchSums::reduce_errors(Collective& collective) {
  std::vector<double> spreads = spreads_about_means();
  collective.all_reduce_sum(spreads);
  set_errors(spreads);
}

void BatchSums::settle_errors() { set_errors(spreads_about_means()); }

// [kNumMeasures + kNumWeights][K + 1]: each measure's spread about its mean, then the sum of the squares of each kind
// of weight. The loss of all pairs weighs 1, whose squares add up to pairs().
std::vector<double> BatchSums::spreads_about_means() const {
  std::vector<double> spreads((kNumMeasures + kNumWeights) * columns());
  for (std::size_t column = 0; column < columns(); ++column) {
    for (const Measure measure : kEachMeasure) {
      const WeightedSpread& spread = spreads_[index(measure) * columns() + column];
      spreads[index(measure) * columns() + column] = spread.about(mean_of(measure, column));
      if (!is_of_pairs(measure, column)) spreads[square_row(measure) * columns() + column] = spread.weight_squared();
    }
  }
  return spreads;
}

void BatchSums::set_errors(std::span<const double> spreads) {
  errors_.assign(kNumMeasures * columns(), std::nullopt);
  for (std::size_t column = 0; column < columns(); ++column) {
    for (const Measure measure : kEachMeasure) {
      const std::size_t cell = index(measure) * columns() + column;
      const double square = spreads[square_row(measure) * columns() + column];
      errors_[cell] = standard_error({.weight = weight_of(measure, column),
                                      .weight_squared = is_of_pairs(measure, column) ? pairs() : square,
                                      .spread = spreads[cell]});
    }
  }
  independent_pairs_K_.assign(num_groups_, 0);
  for (std::size_t g = 0; g < num_groups_; ++g) {
    const double weight = at(kPairWeight, g);
    if (weight > 0) independent_pairs_K_[g] = weight * weight / spreads[square_row(Measure::kCorrect) * columns() + g];
  }
}

double BatchSums::weight_of(Measure measure, std::size_t column) const {
  return is_of_pairs(measure, column) ? pairs() : at(weight_row(measure), column);
}

double BatchSums::mean_of(Measure measure, std::size_t column) const {
  return at(index(measure), column) / weight_of(measure, column);
}

std::optional<double> BatchSums::error_of(Measure measure, std::size_t column) const {
  return errors_.empty() ? std::nullopt : errors_[index(measure) * columns() + column];
}

GroupSums BatchSums::group_sums() const {
  const std::span values(values_);
  return present_groups(values.subspan(index(Measure::kLoss) * columns(), num_groups_),
                        values.subspan(kPairWeight * columns(), num_groups_), pairs());
}

std::vector<std::uint32_t> BatchSums::non_finite_groups() const {
  std::vector<std::uint32_t> groups;
  for (std::size_t g = 0; g < num_groups_; ++g) {
    if (!std::isfinite(at(index(Measure::kLoss), g))) groups.push_back(static_cast<std::uint32_t>(g));
  }
  return groups;
}

}  // namespace equipoise
