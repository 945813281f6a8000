// What one caller may ask for at a time, so that the others are answered too.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>

#include "coordinator/access/call_rules.h"
#include "coordinator/lifecycle/clock.h"

namespace equipoise::coordinator {

struct CallLimits {
  int answers_at_once = 128;
  int streams_at_once = 64;
  double calls_per_second = 200;  // in the mean
  double calls_in_a_burst = 1000;
};

// Counts the calls of each caller by name. May be used from any thread.
class PrincipalLimits {
 public:
  // `clock` outlives it.
  PrincipalLimits(CallLimits limits, const Clock& clock) : limits_(limits), clock_(clock) {}

  // A call has come. Throws Refusal kResourceExhausted, with the time after which there is room where that is known,
  // and has then not counted it. leave() follows one that does not throw. What is kept of a name goes once it makes no
  // difference, as names may be anybody's addresses.
  void enter(const std::string& name, CallKind kind);
  void leave(const std::string& name, CallKind kind);
  std::size_t names() const;  // of which anything is kept

 private:
  struct Use {
    int answers = 0, streams = 0;
    double tokens = 0;  // calls that may come at once
    SteadyTime refilled;
  };
  void refill(Use& use, SteadyTime now) const;
  void forget_those_at_rest(SteadyTime now);

  const CallLimits limits_;
  const Clock& clock_;
  mutable std::mutex mutex_;         // guards all below
  std::map<std::string, Use> uses_;  // by name
  std::size_t most_uses_ = 1024;     // before some are forgotten
};

}  // namespace equipoise::coordinator
