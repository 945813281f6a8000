// A point on the probability simplex kept as logarithms, so that neither a huge nor a vanishing weight is lost.
#pragma once

#include <span>

namespace equipoise {

// No log weight falls below this: far beyond what exp() can show, yet finite, so that it can rise again.
inline constexpr double kLowestLogWeight = -1e300;

// log(sum_g exp(log_weight_g)), shifted by the largest so that nothing overflows. `log_weight_K` finite, not empty.
double log_sum_exp(std::span<const double> log_weight_K);

// log_weight_g <- max(log_weight_g - log_sum_exp, kLowestLogWeight): afterwards the exponentials sum to 1.
// `log_weight_K` finite and within +-1e301, not empty.
void normalize_log_simplex(std::span<double> log_weight_K);

}  // namespace equipoise
