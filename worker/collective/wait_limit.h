// When a rank that waits for the others in a collective gives them up.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace equipoise {

// The last moment at which it was known that one rank has a reason to keep the others waiting, as while the coordinator
// cannot store a step. Any thread.
class WaitReason {
 public:
  using Clock = std::chrono::steady_clock;

  void renew(Clock::time_point now = Clock::now()) { newest_ = now; }
  Clock::time_point newest() const { return newest_; }

  // How often ranks that wait have looked whether they wait for too long: it grows while the thread that waits runs.
  std::int64_t polls() const { return polls_.load(std::memory_order_relaxed); }
  void count_poll() const { polls_.fetch_add(1, std::memory_order_relaxed); }

 private:
  std::atomic<Clock::time_point> newest_ = Clock::time_point::min();
  mutable std::atomic<std::int64_t> polls_ = 0;
};

class WaitLimit {
 public:
  using Clock = std::chrono::steady_clock;

  // `usual` counts from the beginning of a wait, or from the newest moment of `reason`, if one is given, which outlives
  // the limit. Not explicit: a limit is mostly a time alone.
  WaitLimit(std::chrono::seconds usual, const WaitReason* reason = nullptr) : usual_(usual), reason_(reason) {}

  bool is_over(Clock::time_point begin, Clock::time_point now = Clock::now()) const {
    if (reason_ != nullptr) reason_->count_poll();
    const Clock::time_point from = reason_ != nullptr ? std::max(begin, reason_->newest()) : begin;
    return now - from > usual_;
  }
  std::chrono::seconds usual() const { return usual_; }

 private:
  std::chrono::seconds usual_;
  const WaitReason* reason_;
};

}  // namespace equipoise
