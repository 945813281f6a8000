// What all parts of a simulation share: one source of chance, time that moves when told, messages that get lost, and
// the schedule of what has happened.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/base/split_mix64.h"
#include "coordinator/job/job_controller.h"

namespace equipoise::coordinator {

// The coordinator has broken a promise.
class InvariantBroken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Faults of the simulation's own parts, for tests of its invariants: each must be found.
struct PlantedFaults {
  bool disk_ignores_syncs = false;
  bool launcher_tells_of_ends_early = false;  // while other ranks of the attempt still run
  bool ranks_change_reports = false;          // of a step whose answer they did not get
  bool launcher_finds_nothing = false;        // of what an earlier coordinator has started, while it runs
  bool ranks_ignore_settings = false;         // that the coordinator has put into force
  bool parents_remove_links = false;          // of forks, with the checkpoint that these are of
  bool ranks_forget_evaluations = false;      // that the attempts before were asked for
};

class SimulatedClock final : public Clock {
 public:
  SteadyTime now() const override { return SteadyTime{} + since_start_; }
  WallTime wall() const override { return WallTime{} + std::chrono::hours(24 * 365 * 50) + since_start_ + jump_; }
  void advance(std::chrono::seconds duration) { since_start_ += duration; }
  void jump_wall(std::chrono::seconds by) { jump_ += by; }

 private:
  std::chrono::seconds since_start_ = std::chrono::hours(1);
  std::chrono::seconds jump_{0};
};

class SeededSource final : public RandomSource {
 public:
  explicit SeededSource(std::uint64_t seed) : random_(seed) {}
  std::string hex(std::size_t num_bytes) override {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < 2 * num_bytes; ++i) text.push_back(kDigits[random_.below(16)]);
    return text;
  }

 private:
  SplitMix64 random_;
};

class SimulatedWorld {
 public:
  SimulatedWorld(std::uint64_t seed, PlantedFaults planted_faults) : planted(planted_faults), random(seed) {}

  // Never once faults have stopped.
  bool chance(std::uint64_t percent) { return !is_calm && random.below(100) < percent; }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(most - least + 1)));
  }
  void note(const std::string& line) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(clock.now().time_since_epoch()).count();
    schedule.push_back(std::to_string(seconds) + " s: " + line);
  }
  void require(bool holds, const std::string& what) const {
    if (!holds) throw InvariantBroken(what);
  }

  // A call over a network that loses, repeats and delays messages. Returns nullopt where the caller gets no answer.
  // What the call throws reaches the caller.
  //   call  v1::Response(JobController&)
  enum class Repeats { kSafe, kNever };  // whether the call may come again later, or twice with the same answer
  template <typename Call>
  auto send(JobController& core, const std::string& what, Repeats repeats, const Call& call)
      -> std::optional<decltype(call(core))> {
    const std::uint64_t fate = is_calm ? 99 : random.below(100);
    if (fate < 5) {
      note(what + " (lost)");
      return std::nullopt;
    }
    if (fate < 10 && repeats == Repeats::kSafe) {
      late_calls.push_back([call](JobController& later) { call(later); });
    }
    note(what);
    auto answer = call(core);
    if (fate >= 10 && fate < 15) {
      note("  its answer is lost");
      return std::nullopt;
    }
    if (fate >= 15 && fate < 20 && repeats == Repeats::kSafe) {
      note("  once more");
      require(call(core).SerializeAsString() == answer.SerializeAsString(), what + ": repeated, it has another answer");
    }
    return answer;
  }

  const PlantedFaults planted;
  SplitMix64 random;
  SimulatedClock clock;
  bool is_calm = false;  // faults have stopped
  int takeovers = 0;     // attempts with ranks that run that a coordinator has found
  std::vector<std::string> schedule;
  std::vector<std::function<void(JobController&)>> late_calls;
};

}  // namespace equipoise::coordinator
