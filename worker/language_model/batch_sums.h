// What one pass over pairs adds up to, for each group and over all: the numbers that ranks all-reduce, and the means
// and standard errors that follow from them.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "common/dataset/preference_pair.h"
#include "common/robust/group_weights.h"
#include "worker/collective/collective.h"
#include "worker/language_model/pair_outcome.h"
#include "worker/objective/group_sums.h"

namespace equipoise {

// What the mean loss of all pairs is divided by. A batch: their number, as its weights are those of a sample. All pairs
// of a data set: their weights, of which it has all.
enum class LossMean { kOverPairs, kOverWeights };

class BatchSums {
 public:
  explicit BatchSums(std::size_t num_groups, LossMean loss_mean = LossMean::kOverPairs);

  // `weight` is the pair's in every sum but pairs(), tokens() and group_pairs(): its v_i, times
  // ShardCursor::pair_weight in a batch.
  void add(const PairOutcome& outcome, std::span<const Membership> memberships, double weight = 1);
  // One all-reduce of 18 (K + 1) + 2 float64: means are those of all ranks' pairs then.
  void all_reduce(Collective& collective);
  // A second one, of 17 (K + 1), after the first: spreads about the means of all ranks' pairs. Errors exist then.
  void reduce_errors(Collective& collective);
  // The same where there are no other ranks' pairs.
  void settle_errors();

  // S_g, n_g and |B| of the groups present (n_g > 0), for the weight update.
  GroupSums group_sums() const;
  // Groups present whose S_g is not finite.
  std::vector<std::uint32_t> non_finite_groups() const;

  std::size_t num_groups() const { return num_groups_; }
  double pairs() const { return at(kPairs, num_groups_); }
  double group_pairs(std::size_t g) const { return at(kPairs, g); }  // sum_i m[i,g]
  double tokens() const { return values_[kRows * columns()]; }
  double sequence_tokens() const { return values_[kRows * columns() + 1]; }

  // Whether there is a mean: something weighs.
  bool has(Measure measure) const { return weight_of(measure, num_groups_) > 0; }
  bool group_has(Measure measure, std::size_t g) const { return weight_of(measure, g) > 0; }
  // Over all pairs. With kOverPairs the loss is divided by their number and the others by their weights, which differ
  // where v_i do, or a batch is without a stratum: then only the former is unbiased, and only the latter keeps a rate
  // below 1. NaN where there is nothing to divide by.
  double mean(Measure measure) const { return mean_of(measure, num_groups_); }
  double group_mean(Measure measure, std::size_t g) const { return mean_of(measure, g); }
  // group_sums.h. The pairs of a batch count as independent of each other.
  std::optional<double> error(Measure measure) const { return error_of(measure, num_groups_); }
  std::optional<double> group_error(Measure measure, std::size_t g) const { return error_of(measure, g); }

  // Of group g, after reduce_errors(): (sum w)^2 / sum w^2, w = v_i m[i,g]. 0 for an absent one.
  double independent_pairs(std::size_t g) const { return independent_pairs_K_[g]; }

  double loss() const { return mean(Measure::kLoss); }
  double accuracy() const { return mean(Measure::kCorrect); }
  double group_loss(std::size_t g) const { return group_mean(Measure::kLoss, g); }
  double group_accuracy(std::size_t g) const { return group_mean(Measure::kCorrect, g); }

 private:
  static constexpr std::size_t kNumMeasures = static_cast<std::size_t>(Measure::kMeasures);
  // Rows of values_: a sum of each measure, then these. Columns: the groups, then all pairs.
  enum Row : std::size_t { kPairWeight = kNumMeasures, kAnswerTokens, kChosenTokens, kRejectedTokens, kPairs, kRows };
  static constexpr std::size_t kNumWeights = kPairs - kPairWeight;

  // Of one pair: each measure's value, and the weights in the order of the rows.
  using Numbers = std::array<double, kNumMeasures>;
  using Weights = std::array<double, kNumWeights>;
  static Numbers numbers_of(const PairOutcome& outcome);
  static Weights weights_of(const PairOutcome& outcome);
  static Row weight_row(Measure measure);

  void add_to(std::size_t column, const Numbers& numbers, const Weights& weights, double share);
  // With kOverPairs the mean loss of all pairs is one of v_i l_i over their number.
  bool is_of_pairs(Measure measure, std::size_t column) const;
  static std::size_t square_row(Measure measure);
  std::vector<double> spreads_about_means() const;
  void set_errors(std::span<const double> spreads);
  double weight_of(Measure measure, std::size_t column) const;
  double mean_of(Measure measure, std::size_t column) const;
  std::optional<double> error_of(Measure measure, std::size_t column) const;
  std::size_t columns() const { return num_groups_ + 1; }
  double& at(std::size_t row, std::size_t column) { return values_[row * columns() + column]; }
  double at(std::size_t row, std::size_t column) const { return values_[row * columns() + column]; }

  std::size_t num_groups_;
  LossMean loss_mean_;
  std::vector<double> values_;                 // [kRows][K + 1], then tokens, sequence tokens
  std::vector<WeightedSpread> spreads_;        // [kNumMeasures][K + 1]  of this rank's pairs
  std::vector<std::optional<double>> errors_;  // the same; empty before reduce_errors()
  std::vector<double> independent_pairs_K_;
};

}  // namespace equipoise
