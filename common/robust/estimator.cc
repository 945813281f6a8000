#include "common/robust/estimator.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

void check_group(const GroupSums& sums, std::size_t i, std::size_t num_groups) {
  const auto refuse_group = [&](const std::string& what) {
    throw std::invalid_argument("group " + std::to_string(sums.group[i]) + what);
  };
  if (sums.group[i] >= num_groups) refuse_group(" is unknown, expected one below " + std::to_string(num_groups));
  if (i > 0 && sums.group[i] <= sums.group[i - 1]) refuse_group(" is out of order, expected ascending group ids");
  if (!std::isfinite(sums.loss_sum[i])) {
    refuse_group(" has loss sum " + number_text(sums.loss_sum[i]) + ", expected a finite one");
  }
  if (!std::isfinite(sums.pair_count[i]) || sums.pair_count[i] <= 0) {
    refuse_group(" has pair count " + number_text(sums.pair_count[i]) + ", expected > 0");
  }
}

}  // namespace

GroupSizes estimator_sizes(Estimator estimator, GroupSizes counted, GroupSizes population) {
  return estimator == Estimator::kUnbiased && !counted.pair_count_K.empty() ? counted : population;
}

void check_group_sizes(GroupSizes sizes, std::size_t num_groups) {
  if (sizes.pair_count_K.empty()) throw std::invalid_argument("there are no groups, expected at least one");
  if (sizes.pair_count_K.size() != num_groups) {
    throw std::invalid_argument("there are sizes of " + std::to_string(sizes.pair_count_K.size()) +
                                " groups, expected " + std::to_string(num_groups));
  }
  for (std::size_t g = 0; g < sizes.pair_count_K.size(); ++g) {
    if (std::isfinite(sizes.pair_count_K[g]) && sizes.pair_count_K[g] > 0) continue;
    throw std::invalid_argument("group " + std::to_string(g) + " has " + number_text(sizes.pair_count_K[g]) +
                                " pairs, expected > 0");
  }
  if (!std::isfinite(sizes.num_pairs) || sizes.num_pairs <= 0)
    throw std::invalid_argument("num_pairs is " + number_text(sizes.num_pairs) + ", expected > 0");
}

void check_group_sums(const GroupSums& sums, std::size_t num_groups) {
  if (sums.loss_sum.size() != sums.group.size() || sums.pair_count.size() != sums.group.size()) {
    throw std::invalid_argument("group sums have " + std::to_string(sums.group.size()) + " groups, " +
                                std::to_string(sums.loss_sum.size()) + " loss sums and " +
                                std::to_string(sums.pair_count.size()) + " pair counts, expected one number");
  }
  if (!std::isfinite(sums.batch_pairs) || sums.batch_pairs <= 0) {
    throw std::invalid_argument("batch_pairs is " + number_text(sums.batch_pairs) + ", expected > 0");
  }
  for (std::size_t i = 0; i < sums.group.size(); ++i) check_group(sums, i, num_groups);
}

void check_places(const char* name, std::size_t places, const GroupSums& sums) {
  if (places == sums.group.size()) return;
  throw std::invalid_argument(std::string(name) + " has " + std::to_string(places) +
                              " places, expected one for each of the " + std::to_string(sums.group.size()) + " groups");
}

std::vector<double> estimator_scale(const GroupSums& sums, Estimator estimator,
                                    std::span<const double> group_pair_count_K, double num_pairs) {
  std::vector<double> scale(sums.group.size());
  estimator_scale(sums, estimator, group_pair_count_K, num_pairs, scale);
  return scale;
}

void estimator_scale(const GroupSums& sums, Estimator estimator, std::span<const double> group_pair_count_K,
                     double num_pairs, std::span<double> scale) {
  check_group_sums(sums, group_pair_count_K.size());
  check_places("scale", scale.size(), sums);
  for (std::size_t i = 0; i < scale.size(); ++i)
    scale[i] = estimator_scale(sums, i, estimator, group_pair_count_K, num_pairs);
}

std::vector<double> estimate_group_loss(const GroupSums& sums, Estimator estimator,
                                        std::span<const double> group_pair_count_K, double num_pairs) {
  std::vector<double> loss = estimator_scale(sums, estimator, group_pair_count_K, num_pairs);
  for (std::size_t i = 0; i < loss.size(); ++i) loss[i] *= sums.loss_sum[i];
  return loss;
}

}  // namespace equipoise
