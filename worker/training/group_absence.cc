#include "worker/training/group_absence.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

constexpr double kOften = 0.01;
constexpr std::size_t kMostNames = 10;

}  // namespace

double absence_probability(double pairs, double members, double places) {
  if (places < 1) return 1 - places * members / pairs;
  if (members + places > pairs) return 0;
  const double log_probability = std::lgamma(pairs - members + 1) - std::lgamma(pairs - members - places + 1) -
                                 std::lgamma(pairs + 1) + std::lgamma(pairs - places + 1);
  return std::min(1.0, std::exp(log_probability));
}

std::vector<double> absence_K(std::span<const std::span<const Membership>> memberships_N,
                              const std::optional<Strata>& strata, std::int64_t batch_size, std::size_t num_groups) {
  std::map<std::uint32_t, double> pairs;                              // by stratum
  std::map<std::pair<std::uint32_t, std::uint32_t>, double> members;  // by stratum and group
  for (std::size_t i = 0; i < memberships_N.size(); ++i) {
    const std::uint32_t stratum = strata ? strata->stratum_N[i] : 0;
    pairs[stratum] += 1;
    for (const Membership& membership : memberships_N[i]) members[{stratum, membership.group}] += 1;
  }
  std::vector<double> probability_K(num_groups, 1);
  for (const auto& [key, count] : members) {
    const auto& [stratum, group] = key;
    const double places = static_cast<double>(batch_size) * (strata ? strata->share_K[stratum] : 1);
    probability_K[group] *= absence_probability(pairs[stratum], count, places);
  }
  return probability_K;
}

bool suffers_from_absence(const RobustSettings& robust, const TrainingConfig& training) {
  return robust.mode == RobustMode::kGroupRobust && robust.ambiguity_set == AmbiguitySet::kSimplex &&
         robust.estimator == Estimator::kBatchMean && !training.full_batch;
}

std::string absence_line(std::span<const std::string> group_names, std::span<const double> absence_K) {
  std::vector<std::size_t> order(group_names.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::erase_if(order, [&](std::size_t g) { return !(absence_K[g] > kOften); });
  if (order.empty()) return "";
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return absence_K[a] > absence_K[b]; });
  std::string names;
  for (std::size_t i = 0; i < std::min(order.size(), kMostNames); ++i) {
    names += fmt::format("{}{} ({:.3g} %)", i == 0 ? "" : ", ", quoted_text(group_names[order[i]]),
                         100 * absence_K[order[i]]);
  }
  if (order.size() > kMostNames) names += fmt::format(" and {} more", order.size() - kMostNames);
  return "robust.estimator batch_mean: batches will lack " + names +
         " of the time, and a group loses weight in each batch that lacks it, whatever its loss; choose "
         "robust.estimator unbiased, or training.sampling stratified";
}

}  // namespace equipoise
