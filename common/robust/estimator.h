// How a group's loss and the coefficients of the gradient come from the sums over one batch: Estimator of
// robust_settings.h.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include "common/robust/robust_settings.h"

namespace equipoise {

// Sums over one global batch for the groups present in it. The three vectors have one length.
struct GroupSums {
  std::vector<std::uint32_t> group;  // ascending, each in [0, K)
  std::vector<double> loss_sum;      // S_g = sum_i m[i,g] * l_i
  std::vector<double> pair_count;    // n_g = sum_i m[i,g] > 0
  double batch_pairs = 0;            // |B| > 0
};

// N_g > 0 and N > 0: what an estimator divides by.
struct GroupSizes {
  std::span<const double> pair_count_K;  // [K]  N_g
  double num_pairs = 0;                  // N
};

// Which of two sizes an estimator divides by. kUnbiased: those of the data that batches are drawn from, `counted`, as
// its r_g must have the mean 1. The others: those of the population that the groups' sizes were given of, `population`.
// An empty `counted` stands for the same.
GroupSizes estimator_sizes(Estimator estimator, GroupSizes counted, GroupSizes population);

// r_g = (N / N_g) * n_g / |B| of the i-th group in `sums`: its share of the batch over its share of the data. 1 where
// they differ by rounding only.
inline double share_ratio(const GroupSums& sums, std::size_t i, std::span<const double> group_pair_count_K,
                          double num_pairs) {
  constexpr double kRounding = 1e-12;  // far above what sums of 10^6 memberships lose
  // In this order a size near the smallest float64 makes no number that is not one.
  const double ratio = sums.pair_count[i] / group_pair_count_K[sums.group[i]] * (num_pairs / sums.batch_pairs);
  return std::abs(ratio - 1) <= kRounding ? 1 : ratio;
}

// Estimated loss of each group in `sums`, in its order: scale_g * S_g, of kUnbiased without its control variate.
std::vector<double> estimate_group_loss(const GroupSums& sums, Estimator estimator,
                                        std::span<const double> group_pair_count_K, double num_pairs);

// scale_g of each group in `sums`: with L_g = scale_g * S_g, pair i's gradient coefficient is
// c_i = sum_g w_g * m[i,g] * scale_g. Of kUnbiased it is that of kDatasetScaled, and the bits of kBatchMean where the
// batch has exactly the group's share (r_g = 1), as every full batch has.
std::vector<double> estimator_scale(const GroupSums& sums, Estimator estimator,
                                    std::span<const double> group_pair_count_K, double num_pairs);
// The same into scale, of the length of sums.group; throws std::invalid_argument on another length.
void estimator_scale(const GroupSums& sums, Estimator estimator, std::span<const double> group_pair_count_K,
                     double num_pairs, std::span<double> scale);

// Of the i-th of them, unchecked. Inline: in position-independent code the compiler does not do it by itself.
inline double estimator_scale(const GroupSums& sums, std::size_t i, Estimator estimator,
                              std::span<const double> group_pair_count_K, double num_pairs) {
  const auto of_data = [&] { return num_pairs / group_pair_count_K[sums.group[i]] / sums.batch_pairs; };
  switch (estimator) {
    case Estimator::kBatchMean:
      return 1 / sums.pair_count[i];
    case Estimator::kDatasetScaled:
      return of_data();
    case Estimator::kBatchSum:
      return 1 / sums.batch_pairs;
    case Estimator::kUnbiased:
      return share_ratio(sums, i, group_pair_count_K, num_pairs) == 1 ? 1 / sums.pair_count[i] : of_data();
  }
  throw std::invalid_argument("the estimator is unknown");
}

// Throws std::invalid_argument unless there are sizes of so many groups, at least one, all finite and > 0.
void check_group_sizes(GroupSizes sizes, std::size_t num_groups);
// Throws std::invalid_argument naming the group and the value if sums are not as described in GroupSums or not finite.
void check_group_sums(const GroupSums& sums, std::size_t num_groups);
// Throws std::invalid_argument naming the vector unless it has a place for each group of `sums`.
void check_places(const char* name, std::size_t places, const GroupSums& sums);

}  // namespace equipoise
