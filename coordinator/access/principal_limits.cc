#include "coordinator/access/principal_limits.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {
void PrincipalLimits::refill(Use& use, SteadyTime now) const {
  const std::chrono::duration<double> passed = now - use.refilled;
  use.tokens = std::min(limits_.calls_in_a_burst, use.tokens + passed.count() * limits_.calls_per_second);
  use.refilled = now;
}

// Those that have nothing under way and might use a whole burst, like a new one.
void PrincipalLimits::forget_those_at_rest(SteadyTime now) {
  constexpr std::size_t kFewest = 1024;
  std::erase_if(uses_, [&](const auto& entry) {
    Use use = entry.second;
    refill(use, now);
    return use.answers == 0 && use.streams == 0 && use.tokens >= limits_.calls_in_a_burst;
  });
  most_uses_ = std::max(kFewest, 2 * uses_.size());
}

void PrincipalLimits::enter(const std::string& name, CallKind kind) {
  const std::lock_guard lock(mutex_);
  const SteadyTime now = clock_.now();
  if (uses_.size() >= most_uses_) forget_those_at_rest(now);
  const auto [entry, is_new] = uses_.try_emplace(name, Use{.tokens = limits_.calls_in_a_burst, .refilled = now});
  Use& use = entry->second;
  refill(use, now);
  const bool is_stream = kind == CallKind::kStream;
  int& at_once = is_stream ? use.streams : use.answers;
  const int most = is_stream ? limits_.streams_at_once : limits_.answers_at_once;
  if (at_once >= most) {
    throw Refusal(Refusal::Code::kResourceExhausted, name + " has " + std::to_string(at_once) +
                                                         (is_stream ? " watchers" : " calls") +
                                                         " at once, as many as one caller may; end some of them");
  }
  if (use.tokens < 1) {
    const double seconds = (1 - use.tokens) / limits_.calls_per_second;
    const auto wait_ms = static_cast<std::int64_t>(std::ceil(seconds * 1000));
    throw Refusal(Refusal::Code::kResourceExhausted, ErrorReason::kLimitReached,
                  name + " makes more than " + std::to_string(std::lround(limits_.calls_per_second)) +
                      " calls a second; try again in " + std::to_string(wait_ms) + " ms",
                  std::chrono::milliseconds(wait_ms));
  }
  use.tokens -= 1;
  ++at_once;
}

std::size_t PrincipalLimits::names() const {
  const std::lock_guard lock(mutex_);
  return uses_.size();
}

void PrincipalLimits::leave(const std::string& name, CallKind kind) {
  const std::lock_guard lock(mutex_);
  const auto use = uses_.find(name);
  if (use == uses_.end()) return;
  --(kind == CallKind::kStream ? use->second.streams : use->second.answers);
}

}  // namespace equipoise::coordinator
