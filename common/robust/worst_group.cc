#include "common/robust/worst_group.h"

#include <stdexcept>

namespace equipoise {

std::size_t worst_group(std::span<const double> loss_K) {
  if (loss_K.empty()) throw std::invalid_argument("there are no groups, expected at least one");
  const auto worst = worst_group(loss_K, [](double loss) { return std::optional(loss); });
  return static_cast<std::size_t>(worst - loss_K.begin());
}

double worst_group_loss(std::span<const double> loss_K) { return loss_K[worst_group(loss_K)]; }

std::optional<double> worst_mean_loss(std::span<const double> loss_sum, std::span<const double> pair_count) {
  std::optional<double> worst;
  for (std::size_t i = 0; i < loss_sum.size(); ++i) {
    const double mean = loss_sum[i] / pair_count[i];
    if (!worst || worse_loss(mean, *worst)) worst = mean;
  }
  return worst;
}

}  // namespace equipoise
