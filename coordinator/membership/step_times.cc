#include "coordinator/membership/step_times.h"

#include <algorithm>

#include "common/base/error.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kMostKept = 512;

}  // namespace

std::optional<StepTimes::Duration> StepTimes::reported(SteadyTime now) {
  const auto taken = last_report_ ? std::optional(now - *last_report_) : std::nullopt;
  if (taken) add(*taken);
  last_report_ = now;
  return taken;
}

void StepTimes::add(Duration duration) {
  if (newest_.size() < kMostKept) {
    newest_.push_back(duration);
  } else {
    newest_[next_] = duration;
    next_ = (next_ + 1) % kMostKept;
  }
}

StepTimes::Duration StepTimes::p99() const {
  EQUIPOISE_CHECK(!newest_.empty());
  constexpr std::size_t kPercent = 99;
  std::vector<Duration> sorted = newest_;
  const std::size_t place = (sorted.size() * kPercent + 99) / 100 - 1;
  std::ranges::nth_element(sorted, sorted.begin() + static_cast<std::ptrdiff_t>(place));
  return sorted[place];
}

}  // namespace equipoise::coordinator
