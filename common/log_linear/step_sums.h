// What one step needs to know of its batch: for each group the sum of losses, the number of pairs and the sum of
// gradients. The gradient of a step is linear in the group weights, so one pass over the pairs and one all-reduce of
// K (2 + D) numbers serve a step: the weights may come afterwards, from whoever owns them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/log_linear/pair_kernel.h"
#include "common/log_linear/pair_matrix.h"
#include "common/robust/group_weights.h"

namespace equipoise::log_linear {

class StepSums {
 public:
  // K groups, D parameters; all zero. `loss` has passed check_loss.
  StepSums(LossSettings loss, std::size_t groups, std::size_t dim);
  // A loss for each group.
  StepSums(std::vector<LossSettings> loss_K, std::size_t dim);

  // Sums of these pairs at theta, instead of what was there. Asks for no memory.
  void assign(const GroupedPairs& pairs, std::span<const double> theta_D);

  // S_g, n_g and G_g times `weight`.
  void weigh(std::size_t group, double weight);

  // [K, 2 + D], a row S_g, n_g, G_g per group: all-reduce this as one SUM over the ranks.
  std::span<double> values() { return rows_; }
  std::span<const double> values() const { return rows_; }

  std::size_t groups() const { return groups_; }
  std::size_t dim() const { return dim_; }
  double loss_sum(std::size_t group) const { return row(group)[0]; }                               // S_g
  double pair_count(std::size_t group) const { return row(group)[1]; }                             // n_g
  std::span<const double> gradient_sum(std::size_t group) const { return row(group).subspan(2); }  // G_g  [D]

  // S_g and n_g of the groups present, |B| = sum of n_g: what the owner of the weights is told. Reuses the memory of
  // `sums`. Empty if no group is present.
  void write_group_sums(GroupSums& sums) const;

 private:
  std::span<const double> row(std::size_t group) const {
    return std::span(rows_).subspan(group * (2 + dim_), 2 + dim_);
  }

  std::vector<LossSettings> loss_K_;
  std::size_t groups_;
  std::size_t dim_;
  std::vector<double> rows_;
  std::vector<double> lane_scratch_;
};

// c_g of each group in `sums`, so that the gradient of the step is sum_g c_g G_g:
//   mode none          c_g = 1 / |B|           the mean over the batch, whatever the weights
//   the others         c_g = w_g * scale_g     scale_g as the estimator says (estimator_scale)
//   weight, coefficient  in the order of sums.group
void gradient_coefficients(const RobustSettings& robust, const GroupSums& sums,
                           std::span<const double> group_pair_count_K, double num_pairs, std::span<const double> weight,
                           std::span<double> coefficient);

// The authors' closed-form program divides a group's mean loss by N_g once more before it enters alpha. Changes sums to
// what the owner of the weights must be told to do the same: S_g / N_g. For ClosedForm::kAuthors only.
void divide_losses_as_authors(GroupSums& sums, std::span<const double> group_pair_count_K);

}  // namespace equipoise::log_linear
