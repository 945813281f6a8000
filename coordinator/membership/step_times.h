// How long the steps of a job have taken: what says how long a rank that trains may stand still.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "coordinator/lifecycle/clock.h"

namespace equipoise::coordinator {

// The newest 512. Not thread-safe.
class StepTimes {
 public:
  using Duration = std::chrono::steady_clock::duration;

  // Steps were reported, one or several at once: the time since the last report, which is returned, is what a step may
  // take. nullopt: it says nothing of steps.
  std::optional<Duration> reported(SteadyTime now);
  // The time until the next report says nothing of steps: ranks do something else between them, or are held.
  void interrupt() { last_report_.reset(); }
  void add(Duration duration);
  bool empty() const { return newest_.empty(); }
  // The least duration that 99 % of them do not exceed; at least one is there.
  Duration p99() const;

 private:
  std::optional<SteadyTime> last_report_;
  std::vector<Duration> newest_;
  std::size_t next_ = 0;  // of newest_, the oldest once all are there
};

}  // namespace equipoise::coordinator
