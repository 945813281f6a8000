// How far a pair (theta, w) is from the solution of  min_theta max_alpha sum_g w_g L_g(theta),  w = (1-chi)/K + chi
// alpha:
//
//   gap = max_alpha sum_g w_g L_g(theta)  -  min_theta' sum_g w_g L_g(theta')     >= 0, and 0 at a saddle point only
//
// Source: Ramesh et al. 2024 (arXiv:2405.20304), Proposition 4.1, for averaged iterates. The maximum over alpha is
// exact: (1-chi) mean_g L_g + chi max_g L_g. The minimum over theta' is a convex problem in D unknowns.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/log_linear/pair_kernel.h"
#include "common/log_linear/pair_matrix.h"

namespace equipoise::log_linear {

// min_theta sum_g c_g sum_{i in g} l_i, over |theta| <= radius (0: over all theta), c_g >= 0, some c_g > 0.
struct WeightedMinimum {
  std::vector<double> theta_D;
  double value = 0;        // at theta_D
  double lower_bound = 0;  // of the minimum; certified in a ball, the Newton model's estimate without one
  int iterations = 0;      // Newton steps
  bool converged = false;  // value - lower_bound <= tolerance * (1 + |value|)
};

// Damped Newton steps with halving (Armijo's rule, 1e-4); in a ball, theta with a multiplier mu on |theta|^2 / 2 that
// bisection brings to |theta| = radius. A damping of 1e-12 of the Hessian's largest diagonal keeps it invertible.
// Stops when value - lower_bound <= tolerance * (1 + |value|), or after 500 Newton steps (converged is false then):
//   in a ball     lower_bound = value - <gradient, theta> - radius |gradient|, true for every convex function
//   without one   lower_bound = value - decrement^2, twice what the quadratic model still promises
// Without a ball the minimum of DPO may be at infinity (separable pairs); value then is near its infimum 0.
// Throws std::invalid_argument if coefficient_K has another length, a negative or no positive value.
WeightedMinimum minimise_weighted_loss(const PairMatrix& matrix, const LossSettings& loss,
                                       std::span<const double> coefficient_K, double radius, double tolerance = 1e-10);

struct DualityGap {
  double primal = 0;  // max over alpha at theta
  double dual = 0;    // min over theta' at w, from below (lower_bound)
  double gap = 0;     // primal - dual
  bool converged = false;
};

// theta_D, weight_K: the averaged iterates, or the last ones. weight_K sums to 1. trade_off: chi.
DualityGap duality_gap(const PairMatrix& matrix, const LossSettings& loss, std::span<const double> theta_D,
                       std::span<const double> weight_K, double trade_off, double radius);

}  // namespace equipoise::log_linear
