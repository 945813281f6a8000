#include "common/log_linear/step_sums.h"

#include <algorithm>
#include <utility>

#include "common/base/error.h"

namespace equipoise::log_linear {

StepSums::StepSums(LossSettings loss, std::size_t groups, std::size_t dim)
    : StepSums(std::vector<LossSettings>(groups, loss), dim) {}

StepSums::StepSums(std::vector<LossSettings> loss_K, std::size_t dim)
    : loss_K_(std::move(loss_K)),
      groups_(loss_K_.size()),
      dim_(dim),
      rows_(groups_ * (2 + dim), 0.0),
      lane_scratch_(dim * kLanes) {}

void StepSums::assign(const GroupedPairs& pairs, std::span<const double> theta_D) {
  EQUIPOISE_CHECK(theta_D.size() == dim_);
  std::fill(rows_.begin(), rows_.end(), 0.0);
  for (const GroupedPairs::Segment& segment : pairs.segments()) {
    EQUIPOISE_CHECK(segment.group < groups_ && segment.blocks.dim == dim_);
    const std::span<double> row = std::span(rows_).subspan(segment.group * (2 + dim_), 2 + dim_);
    row[0] = sum_losses(segment.blocks, loss_K_[segment.group], theta_D, row.subspan(2), lane_scratch_);
    row[1] = segment.pairs;
  }
}

void StepSums::weigh(std::size_t group, double weight) {
  for (double& value : std::span(rows_).subspan(group * (2 + dim_), 2 + dim_)) value *= weight;
}

void StepSums::write_group_sums(GroupSums& sums) const {
  sums.group.clear();
  sums.loss_sum.clear();
  sums.pair_count.clear();
  sums.batch_pairs = 0;
  for (std::size_t g = 0; g < groups_; ++g) {
    if (pair_count(g) == 0) continue;
    sums.group.push_back(static_cast<std::uint32_t>(g));
    sums.loss_sum.push_back(loss_sum(g));
    sums.pair_count.push_back(pair_count(g));
    sums.batch_pairs += pair_count(g);
  }
}

void gradient_coefficients(const RobustSettings& robust, const GroupSums& sums,
                           std::span<const double> group_pair_count_K, double num_pairs, std::span<const double> weight,
                           std::span<double> coefficient) {
  if (robust.mode == RobustMode::kNone) {
    std::fill(coefficient.begin(), coefficient.end(), 1 / sums.batch_pairs);
    return;
  }
  estimator_scale(sums, robust.estimator, group_pair_count_K, num_pairs, coefficient);
  for (std::size_t i = 0; i < coefficient.size(); ++i) coefficient[i] *= weight[i];
}

void divide_losses_as_authors(GroupSums& sums, std::span<const double> group_pair_count_K) {
  for (std::size_t i = 0; i < sums.group.size(); ++i) sums.loss_sum[i] /= group_pair_count_K[sums.group[i]];
}

}  // namespace equipoise::log_linear
