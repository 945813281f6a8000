// Settings of the group-robust objective, as checked from JobSpec.robust.
// Source: Ramesh et al. 2024 (arXiv:2405.20304), Algorithm 1; Sagawa et al. 2020 for the adjustment.
#pragma once

#include <cstddef>
#include <vector>

#include "common/robust/step_schedule.h"

namespace equipoise {

enum class RobustMode { kNone, kImportance, kGroupRobust };

// How a group's loss is estimated from the sums S_g, n_g of one global batch of |B| pairs:
//   kBatchMean       S_g / n_g                  (group absent: not updated)
//   kDatasetScaled   (N / N_g) * S_g / |B|      unbiased under uniform sampling
//   kBatchSum        S_g / |B|
//   kUnbiased        k_g + r_g (S_g / n_g - k_g),  r_g = (N / N_g) * n_g / |B|, E[r_g] = 1
//                    k_g is what the batches before say of the group's loss (common/robust/group_weights.h): a control
//                    variate, so that the estimate is unbiased whatever k_g is, and an absent group's is k_g.
//                    The gradient is that of kDatasetScaled.
enum class Estimator { kBatchMean, kDatasetScaled, kBatchSum, kUnbiased };

// Among which weights alpha is the worst, and how it is found:
//   kSimplex     all of them, by mirror ascent
//   the others   in closed form from the groups' shares and newest losses: common/robust/ambiguity_sets.h
enum class AmbiguitySet { kSimplex, kCvar, kChiSquare, kKl };

enum class WeightUpdate { kBeforeGradient, kAfterGradient };

struct RobustSettings {
  RobustMode mode = RobustMode::kNone;
  Estimator estimator = Estimator::kUnbiased;
  WeightUpdate update = WeightUpdate::kBeforeGradient;
  AmbiguitySet ambiguity_set = AmbiguitySet::kSimplex;
  double kappa = 1.0;                       // kCvar: in (0, 1]
  double rho = 0.0;                         // kChiSquare: >= 0
  double tau = 1.0;                         // kKl: > 0, in the unit of the loss
  double step_size = 0.01;                  // eta_alpha >= 0, in 1/unit of the loss
  PlateauSettings step_plateau = {};        // of step_size, observing the worst mean loss of each step's groups
  double adjustment = 0.0;                  // C >= 0
  double trade_off = 1.0;                   // chi in [0, 1]
  double min_weight = 0.0;                  // in [0, 1/K]
  std::vector<double> importance_weight_K;  // mode kImportance; empty: proportional to 1/N_g
  std::vector<double> baseline_K;           // b_g, finite, in the unit of the loss; empty: 0
  // N_g and N of the data at hand, from which batches are drawn and by which kUnbiased divides, where those of a
  // population stand elsewhere; empty: the same.
  std::vector<double> counted_K;
  double counted_pairs = 0;
};

// Throws std::invalid_argument naming the setting, its value and its range.
void check_robust_settings(const RobustSettings& settings, std::size_t num_groups);

}  // namespace equipoise
