// When a rank that waits for the others in a collective gives them up.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

namespace equipoise {

// The last moment at which it was known that one rank has a reason to keep the others waiting, as while the coordinator
// cannot store a step. Any thread.
class WaitReason {
 public:
  using Clock = std::chrono::steady_clock;

  void renew(Clock::time_point now = Clock::now()) { newest_ = now; }
  Clock::time_point newest() const { return newest_; }

 private:
  std::atomic<Clock::time_point> newest_ = Clock::time_point::min();
};

class WaitLimit {
 public:
  using Clock = std::chrono::steady_clock;

  // `usual` counts from the beginning of a wait, or from the newest moment of `reason`, if one is given, which outlives
  // the limit. Not explicit: a limit is mostly a time alone.
  WaitLimit(std::chrono::seconds usual, const WaitReason* reason = nullptr) : usual_(usual), reason_(reason) {}

  bool is_over(Clock::time_point begin, Clock::time_point now = Clock::now()) const {
    const Clock::time_point from = reason_ != nullptr ? std::max(begin, reason_->newest()) : begin;
    return now - from > usual_;
  }
  std::chrono::seconds usual() const { return usual_; }

 private:
  std::chrono::seconds usual_;
  const WaitReason* reason_;
};

}  // namespace equipoise
