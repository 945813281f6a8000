#include "coordinator/membership/training_pace.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace equipoise::coordinator {
namespace {

constexpr double kHalfLifeSeconds = 60, kHalfLifeReports = 8;
constexpr double kSecondsOfUnknown = 1e-3;  // how long it has taken is not known: it counts until another one comes

}  // namespace

void TrainingPace::observe(std::int64_t pairs_total, double pairs_per_second) {
  const std::optional<std::int64_t> before = std::exchange(pairs_total_, pairs_total);
  if (!std::isfinite(pairs_per_second) || pairs_per_second <= 0) return;
  const bool is_known = before && pairs_total > *before;
  const double seconds = is_known ? static_cast<double>(pairs_total - *before) / pairs_per_second : kSecondsOfUnknown;
  const double kept = std::max(std::exp2(-seconds / kHalfLifeSeconds), std::exp2(-1 / kHalfLifeReports));
  pairs_ = kept * pairs_ + seconds * pairs_per_second;
  seconds_ = kept * seconds_ + seconds;
}

std::optional<double> TrainingPace::pairs_per_second() const {
  const double pace = pairs_ / seconds_;
  return std::isfinite(pace) && pace > 0 ? std::optional(pace) : std::nullopt;
}

}  // namespace equipoise::coordinator
