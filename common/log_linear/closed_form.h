// GR-IPO's minimum over theta for fixed group weights, without steps.
// Source: Ramesh et al. 2024 (arXiv:2405.20304), Algorithm 2.
//
//   theta* = (sum_g c_g X_g^T X_g + lambda I)^-1 (sum_g c_g X_g^T 1) / (2 beta)       rows of X_g: phi+ - phi-
//
// which is the minimum of sum_g c_g * sum_{i in g} (h_i - 1/(2 beta))^2 + lambda |theta|^2. With label noise nu_g the
// distance is to 1/(2 beta) / (1 - 2 nu_g).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/log_linear/pair_matrix.h"

namespace equipoise::log_linear {

// X_g^T X_g and X_g^T 1 of each group: they do not depend on theta, so ranks add them up once, before the first step.
class NormalEquations {
 public:
  NormalEquations(const PairMatrix& matrix, PairRange range);

  // Multiplies what the pairs of a group are drawn to, 1/(2 beta), by factor_K of the group.
  void scale_targets(std::span<const double> factor_K);

  // [K, D, D + 1], row j of group g is X_g^T X_g [j, :] and then X_g^T 1 [j]: all-reduce this as one SUM.
  std::span<double> values() { return values_; }

  // Writes theta*. c of each group named; the others have c = 0. Asks for no memory.
  // Throws std::invalid_argument if the matrix is not positive definite to working precision (with lambda = 0: the
  // pairs do not determine theta; the message says to set ridge); theta_D is then unchanged.
  void solve(std::span<const std::uint32_t> group, std::span<const double> coefficient, double beta, double ridge,
             std::span<double> theta_D);

 private:
  std::size_t dim_;
  std::vector<double> values_;
  std::vector<double> system_;  // [D, D + 1]  scratch of solve
};

// Solves A y = b for a symmetric positive definite A by Eigen's Cholesky factorisation, in place, without memory.
//   system  [D, D + 1]  row j: A[j, :], then b[j]; only the lower triangle of A is read; b becomes y
// Returns whether A is positive definite to working precision; if not, `system` is left half done.
[[nodiscard]] bool solve_positive_definite(std::span<double> system, std::size_t dim);

}  // namespace equipoise::log_linear
