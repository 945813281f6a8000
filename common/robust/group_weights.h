// alpha: how much each group counts in the next gradient, and how it ascends.
// Source: Ramesh et al. 2024 (arXiv:2405.20304), Algorithm 1, update of alpha.
//
//   L_g  estimated as `Estimator` says from S_g, n_g, |B|, N_g, N
//   a_g <- a_g + eta_alpha * chi * (L_g + C / sqrt(N_g))     for each group g in the batch; for every group where the
//                                                            estimator is kUnbiased
//                                                            L_g of S_g - n_g b_g where there is a baseline b_g
//   alpha = softmax(a), then mixed with uniform so that no alpha_g is below min_weight
//   w_g = (1 - chi) / K + chi * alpha_g                      the weights of the gradient
//
// kUnbiased: k_g starts at the mean of the k of the groups seen so far, weighted by their shares (in the first step: at
// the mean loss of the batch), and each batch that has the group moves it afterwards,
//   k_g <- k_g + n_g / (n_g + 16) (S_g / n_g - k_g)
// a running mean over some 16 pairs: fewer would follow single pairs, more would lag behind what is learned.
//
// Ambiguity sets other than the simplex: alpha is the closed form of L_g + C / sqrt(N_g) of all groups at once, where
// L_g is S_g / n_g of the newest batch that had group g (whatever the estimator, which scales the gradient), and the
// mean of the others where no batch has had it yet; with a baseline L_g - b_g takes its place. Then the floor and w as
// above.
//
// eta_alpha shrinks on a plateau (step_schedule.h): each step shows it the worst S_g / n_g of the groups in the batch,
// after alpha has moved. That loss may be negative, as those corrected for label noise can be.
//
// A step that is reported with groups that are not finite moves nothing: neither alpha nor k_g nor eta_alpha.
//
// mode kImportance: alpha fixed, w = alpha. mode kNone: alpha_g = N_g / sum N, w = alpha (the gradient is the
// mean over the batch whatever w is).
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/robust/estimator.h"
#include "common/robust/robust_settings.h"
#include "common/robust/step_schedule.h"

namespace equipoise {

// Whether the weights of a step's gradient are known before its losses: those of fixed weights, and of a group-robust
// job with kAfterGradient.
bool weights_precede_losses(const RobustSettings& settings);

// w_g of `groups` from the alpha of all groups, as GroupWeights::alpha_K() has it: the bits of GroupWeights.
void gradient_weights(const RobustSettings& settings, std::span<const double> alpha_K,
                      std::span<const std::uint32_t> groups, std::span<double> weight);

// All that the steps after this one depend on, besides the settings.
struct GroupWeightsState {
  std::vector<double> log_alpha_K;   // [K]
  std::vector<double> group_loss_K;  // [K], or empty: GroupWeights::group_loss_K()
  ScheduleState step_size;           // eta_alpha
};

// A point on the probability simplex over K groups. Kept as log(alpha), so a weight that has shrunk to almost
// nothing can still grow back. Pure arithmetic in float64; the same calls give the same bits.
// Not thread-safe.
class GroupWeights {
 public:
  // group_pair_count_K  [K]  N_g > 0; K = its length >= 1
  // num_pairs                N > 0, for dataset_scaled
  // alpha starts uniform (kGroupRobust), fixed (kImportance) or at the groups' shares (kNone; kGroupRobust with a
  // closed form). Throws std::invalid_argument on an empty or non-positive N_g, a setting out of its range, or
  // importance weights of another length.
  GroupWeights(RobustSettings settings, std::vector<double> group_pair_count_K, double num_pairs);

  // Applies one step and returns w_g of each group in `sums`, in its order: with kBeforeGradient from the alpha
  // after the step, with kAfterGradient from the alpha before it.
  // Throws std::invalid_argument if sums are not as described in GroupSums or not finite; nothing is changed then.
  std::vector<double> step(const GroupSums& sums);
  // The same into weight, of the length of sums.group: asks for no memory. Throws also on another length.
  void step(const GroupSums& sums, std::span<double> weight);
  // The same of a step in which the loss or the gradient of the groups `non_finite` is not finite: with any of them
  // nothing moves, and the weights are those that alpha gives as it is.
  void step(const GroupSums& sums, std::span<const std::uint32_t> non_finite, std::span<double> weight);

  // What step() does once alpha has moved: eta_alpha's schedule sees the worst mean loss of the step's groups. For a
  // step whose alpha comes from a record of it, after restore().
  //   loss_sum, pair_count  S_g and n_g > 0 of those groups
  void observe(std::span<const double> loss_sum, std::span<const double> pair_count);

  double step_size() const { return step_size_.step_size(); }  // eta_alpha of the next step
  // eta_alpha from the next step on. Throws std::invalid_argument if it is out of its range; nothing is changed then.
  void set_step_size(double step_size);
  // The same of chi. Neither changes log alpha.
  void set_trade_off(double trade_off);

  // L_g of every group as the next step would estimate it from `sums`, without the baseline: [K]. kUnbiased on the
  // simplex.
  std::vector<double> estimated_loss_K(const GroupSums& sums) const;

  std::vector<double> alpha_K() const;              // [K], sums to 1
  double gradient_weight(std::size_t group) const;  // w_g as it stands; group in [0, K)
  // w_g of `groups` as it stands, into weight, of their length.
  void write_gradient_weight(std::span<const std::uint32_t> groups, std::span<double> weight) const;
  const std::vector<double>& log_alpha_K() const { return log_alpha_K_; }  // [K], normalised, floor not applied
  // What the batches so far say of each group's loss, which the next alpha comes from besides the settings: the newest
  // L_g for a closed form, k_g for kUnbiased on the simplex. NaN where no batch has had the group yet. [K], or empty
  // where neither is used.
  const std::vector<double>& group_loss_K() const { return group_loss_K_; }
  // Continues from a recorded state, bit by bit: both vectors as they were read. An empty group_loss_K stands for
  // losses that are not known. Throws std::invalid_argument on a wrong length, a value that is not finite (but for a
  // NaN in group_loss_K) or weights that do not sum to 1; nothing is changed then.
  void restore(std::vector<double> log_alpha_K, std::vector<double> group_loss_K = {});
  GroupWeightsState state() const { return {log_alpha_K_, group_loss_K_, step_size_.state()}; }
  // The same with eta_alpha. Throws also where its step size is negative or not finite.
  void restore(const GroupWeightsState& state);
  // Why restore() would refuse these, in one sentence; empty where it takes them.
  std::string restore_fault(std::span<const double> log_alpha_K, std::span<const double> group_loss_K) const;

 private:
  struct Mixture {
    double floor = 0, above_floor = 1;  // alpha_g = floor + above_floor * exp(log alpha_g)
    double uniform = 0, chi = 1;        // w_g = uniform + chi * alpha_g
    double alpha(double log_alpha) const { return floor + above_floor * std::exp(log_alpha); }
    double weight(double log_alpha) const { return uniform + chi * alpha(log_alpha); }
  };
  Mixture mixture() const;
  bool has_closed_form() const;
  bool has_control_variate() const;
  GroupSizes batch_sizes() const;
  void ascend(const GroupSums& sums);
  void ascend_all(const GroupSums& sums);
  double control_of_unseen(const GroupSums& sums) const;
  // k_g before the batch.
  double control(std::size_t group, double unseen) const {
    return std::isnan(group_loss_K_[group]) ? unseen : group_loss_K_[group];
  }
  void set_worst_weights(const GroupSums& sums);
  double rise(const GroupSums& sums, std::size_t i) const;
  double baseline(std::size_t group) const { return settings_.baseline_K.empty() ? 0 : settings_.baseline_K[group]; }
  double adjusted_loss(double loss, std::size_t group) const;

  RobustSettings settings_;
  std::vector<double> group_pair_count_K_;
  double num_pairs_;
  StepSchedule step_size_;  // eta_alpha
  std::vector<double> log_alpha_K_;
  std::vector<double> share_K_, group_loss_K_;  // empty where alpha does not come from group_loss_K
};

}  // namespace equipoise
