// A clock that a test moves.
#pragma once

#include <chrono>
#include <mutex>

#include "coordinator/lifecycle/clock.h"

namespace equipoise::coordinator {

class FakeClock final : public Clock {
 public:
  SteadyTime now() const override {
    const std::lock_guard lock(mutex_);
    return SteadyTime{} + since_start_;
  }
  WallTime wall() const override {
    const std::lock_guard lock(mutex_);
    return WallTime{} + std::chrono::hours(24 * 365 * 50) + since_start_;
  }
  void advance(std::chrono::milliseconds duration) {
    const std::lock_guard lock(mutex_);
    since_start_ += duration;
  }

 private:
  mutable std::mutex mutex_;
  std::chrono::milliseconds since_start_ = std::chrono::hours(1);
};

}  // namespace equipoise::coordinator
