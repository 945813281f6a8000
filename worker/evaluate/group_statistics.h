// Means over the pairs of each group, with standard errors.
//   mean_g = sum_i m[i,g] x_i / sum_i m[i,g]
//   error_g = sqrt(n/(n-1) sum_i m[i,g]^2 (x_i - mean_g)^2) / sum_i m[i,g],   n = (sum_i m[i,g])^2 / sum_i m[i,g]^2
// For pairs of one group each (m = 1) that is the sample's standard deviation over sqrt(n).
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace equipoise {

struct MeanWithError {
  double mean = 0;
  std::optional<double> error;  // none for a single pair
};

// Of the pairs that weigh more than 0: none if there is no such pair. value_N and weight_N are of one length.
std::optional<MeanWithError> weighted_mean(std::span<const double> value_N, std::span<const double> weight_N);

}  // namespace equipoise
