// The worst weights of K groups within a set around their shares of the population, in closed form: no step size.
//   cvar        { w : w_g <= p_g / kappa }                    Rockafellar and Uryasev 2000
//   chi_square  { w : 1/2 sum_g p_g (w_g/p_g - 1)^2 <= rho }  Duchi and Namkoong 2019
//   kl          all w, less tau * sum_g w_g log(w_g/p_g)      entropic risk; w_g ~ p_g exp(L_g / tau)
// Each maximises sum_g w_g L_g over w >= 0 with sum 1. Groups of equal loss keep the ratio of their shares.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "common/robust/robust_settings.h"

namespace equipoise {

// A point on the probability simplex kept as logarithms, so that neither a huge nor a vanishing weight is lost.

// No log weight falls below this: far beyond what exp() can show, yet finite, so that it can rise again.
inline constexpr double kLowestLogWeight = -1e300;

// log(sum_g exp(log_weight_g)), shifted by the largest so that nothing overflows. `log_weight_K` finite, not empty.
double log_sum_exp(std::span<const double> log_weight_K);

// log_weight_g <- max(log_weight_g - log_sum_exp, kLowestLogWeight): afterwards the exponentials sum to 1.
// `log_weight_K` finite and within +-1e301, not empty.
void normalize_log_simplex(std::span<double> log_weight_K);

struct GroupRisk {
  std::span<const double> loss_K;   // [K]  L_g, finite
  std::span<const double> share_K;  // [K]  p_g > 0, sums to 1
};

// All return w [K], cost O(K log K) and throw std::invalid_argument if `risk` is not as GroupRisk says or the
// parameter is out of its range.

// kappa in (0, 1]: the mean over the worst part kappa of the population. 1 gives p.
std::vector<double> cvar_weights(const GroupRisk& risk, double kappa);

// rho >= 0: the squared distance. 0 gives p; from (1/p_worst - 1)/2 on, all weight is on the worst group.
std::vector<double> chi_square_weights(const GroupRisk& risk, double rho);

// tau > 0, in the unit of the loss: large gives p, small gives all weight to the worst group.
std::vector<double> kl_weights(const GroupRisk& risk, double tau);

// The weights of settings.ambiguity_set with its parameter. Throws std::invalid_argument for the simplex, which has no
// closed form.
std::vector<double> closed_form_weights(const RobustSettings& settings, const GroupRisk& risk);

// p_g = N_g / sum of N, for N_g > 0.
std::vector<double> group_shares(std::span<const double> group_pair_count_K);

// Mean of the losses that are not NaN, weighted by their shares; none where all are.
std::optional<double> mean_of_known(std::span<const double> loss_K, std::span<const double> share_K);

// A group whose loss is NaN, as it has not been seen yet, takes the mean of the others' weighted by their shares.
// At least one is known.
std::vector<double> with_unknown_at_mean(std::span<const double> loss_K, std::span<const double> share_K);

// log w of settings.ambiguity_set, one of the closed forms; kLowestLogWeight where w is 0. Throws as they do.
std::vector<double> closed_form_log_weights(const RobustSettings& settings, const GroupRisk& risk);

}  // namespace equipoise
