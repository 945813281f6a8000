// Which group is worst off: the one definition that weights, metrics, early stopping, tables and reports share.
#pragma once

#include <cmath>
#include <cstddef>
#include <iterator>
#include <optional>
#include <span>

namespace equipoise {

// True if `loss` is worse than `other`: not a number any more while `other` still is one, or higher. So NaN is the
// worst, then infinity.
inline bool worse_loss(double loss, double other) { return std::isnan(loss) ? !std::isnan(other) : loss > other; }

// The group of the worst loss, the first of equal ones; std::end(groups) where no group has a loss.
//   loss_of(group)  std::optional<double>: nothing for a group without a loss, which NaN is not
template <typename Groups, typename LossOf>
auto worst_group(Groups&& groups, LossOf loss_of) {
  auto worst = std::end(groups);
  std::optional<double> worst_loss;
  for (auto group = std::begin(groups); group != std::end(groups); ++group) {
    const std::optional<double> loss = loss_of(*group);
    if (!loss || (worst_loss && !worse_loss(*loss, *worst_loss))) continue;
    worst = group;
    worst_loss = loss;
  }
  return worst;
}

// Its position, where every group has a loss: [K], K >= 1. Throws std::invalid_argument if K is 0.
std::size_t worst_group(std::span<const double> loss_K);
// Its loss. Throws as worst_group().
double worst_group_loss(std::span<const double> loss_K);

// The worst of the mean losses S_g / n_g of a step's groups; nothing where there is no group.
//   loss_sum, pair_count  of one length, n_g > 0
std::optional<double> worst_mean_loss(std::span<const double> loss_sum, std::span<const double> pair_count);

}  // namespace equipoise
