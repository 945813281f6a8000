#include "common/robust/closed_form_weights.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "common/robust/log_simplex.h"

namespace equipoise {
std::vector<double> group_shares(std::span<const double> group_pair_count_K) {
  const double total = std::accumulate(group_pair_count_K.begin(), group_pair_count_K.end(), 0.0);
  std::vector<double> share_K(group_pair_count_K.begin(), group_pair_count_K.end());
  for (double& share : share_K) share /= total;
  return share_K;
}

std::optional<double> mean_of_known(std::span<const double> loss_K, std::span<const double> share_K) {
  double mean = 0, known_share = 0;
  for (std::size_t g = 0; g < loss_K.size(); ++g) {
    if (std::isnan(loss_K[g])) continue;
    known_share += share_K[g];
    mean += (loss_K[g] - mean) * (share_K[g] / known_share);
  }
  return known_share > 0 ? std::optional(mean) : std::nullopt;
}

std::vector<double> with_unknown_at_mean(std::span<const double> loss_K, std::span<const double> share_K) {
  const double mean = mean_of_known(loss_K, share_K).value_or(0);
  std::vector<double> filled_K(loss_K.begin(), loss_K.end());
  for (double& loss : filled_K) {
    if (std::isnan(loss)) loss = mean;
  }
  return filled_K;
}

std::vector<double> closed_form_log_weights(const RobustSettings& settings, const GroupRisk& risk) {
  std::vector<double> weight_K = closed_form_weights(settings, risk);
  for (double& weight : weight_K) weight = std::max(std::log(weight), kLowestLogWeight);  // log 0 is -infinity
  return weight_K;
}

}  // namespace equipoise
