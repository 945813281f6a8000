// Time as the coordinator sees it, passed in so that tests decide what time it is.
#pragma once

#include <chrono>

namespace equipoise::coordinator {

using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

// May be asked from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual SteadyTime now() const = 0;  // for leases and deadlines: never jumps
  virtual WallTime wall() const = 0;   // for people: when something happened
};

class SystemClock final : public Clock {
 public:
  SteadyTime now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall() const override { return std::chrono::system_clock::now(); }
};

}  // namespace equipoise::coordinator
