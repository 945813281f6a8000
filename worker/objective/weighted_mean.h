// Means over pairs, and how far they may be from the truth.
//   mean = sum_i w_i x_i / W,   W = sum_i w_i
//   error = sqrt(n/(n-1) sum_i w_i^2 (x_i - mean)^2) / W,   n = W^2 / sum_i w_i^2
// For w = 1 that is the sample's standard deviation over sqrt(n). For a mean over tokens, w_i tokens and x_i their mean
// of pair i, it is the error of a ratio of two sums over pairs: pairs are what is drawn, tokens come with them.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace equipoise {

// sum_i w_i^2 (x_i - mean)^2 about a mean that is known only later: of a part of the values, which every rank adds up
// for itself, about the mean of all. Welford's update, so that nothing cancels where the spread is small.
class WeightedSpread {
 public:
  // A weight of 0 adds nothing.
  void add(double value, double weight);
  double about(double mean) const;
  double weight_squared() const { return weight_squared_; }  // sum_i w_i^2

 private:
  double weight_squared_ = 0;
  double centre_ = 0;  // sum_i w_i^2 x_i / sum_i w_i^2
  double spread_ = 0;  // about the centre
};

// From the sums over all values; none where that is a single one (of any weight), or not finite.
struct SpreadSums {
  double weight = 0;          // W
  double weight_squared = 0;  // sum_i w_i^2
  double spread = 0;          // sum_i w_i^2 (x_i - mean)^2
};
std::optional<double> standard_error(const SpreadSums& sums);

struct MeanWithError {
  double mean = 0;
  std::optional<double> error;
};

// Of the pairs that weigh more than 0: none if there is no such pair. value_N and weight_N are of one length.
std::optional<MeanWithError> weighted_mean(std::span<const double> value_N, std::span<const double> weight_N);

}  // namespace equipoise
