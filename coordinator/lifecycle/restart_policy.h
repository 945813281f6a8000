// Whether a job whose attempt has failed is started again, and when.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace equipoise::coordinator {

// What made a job start again: the labels of the metric of restarts.
enum class RestartCause { kPreemption, kInfrastructure, kCoordinator };

// How an attempt ended that was to go on.
struct AttemptFailure {
  std::string cause;      // one sentence
  std::int64_t step = 0;  // steps done by then
  // Whether the same failure at the same step, twice in a row, is one of the job itself: not where somebody from
  // outside may have ended its processes.
  bool is_of_the_job = false;
  std::optional<int> exit_code = std::nullopt;  // of mpirun, where it was that which told of the end
  bool is_crash = false;                        // of the program, by a signal that it brought about itself
  RestartCause restart_cause = RestartCause::kInfrastructure;
};

// All of `failures` are of one job, oldest first, without a checkpoint between.

// How many of them are of `cause`. Those of the infrastructure use up launch.max_restarts; a preemption is no failure
// however often it comes; a coordinator that is lost with the job again and again may be lost because of it.
std::size_t failures_by(const std::vector<AttemptFailure>& failures, RestartCause cause);
inline constexpr std::size_t kMostCoordinatorLosses = 10;

// How long the job waits once the processes of its last attempt have ended: 1 s, and twice as long with each further
// failure, up to 60 s. Of that the coordinator draws a part from the upper half, so that many jobs do not start at
// once.
std::chrono::seconds restart_delay(const std::vector<AttemptFailure>& failures);

// The same of a job whose ranks have left with a checkpoint: at least 1 s.
std::chrono::seconds preemption_delay(const std::vector<AttemptFailure>& failures);

// Whether a process that this signal ended has crashed: SIGABRT, SIGSEGV and their like, and none that comes from
// outside.
bool is_crash_signal(int signal);

// The last two failures are one and the same, at the same step, or crashes at the same step, whatever they say: a third
// attempt would end there, too. What mpirun calls its processes does not count.
bool is_crash_loop(const std::vector<AttemptFailure>& failures);

// "; before: A; the same; and 3 more", newest first, beside the last one; empty where there is one failure only.
std::string causes_before_last(const std::vector<AttemptFailure>& failures);

}  // namespace equipoise::coordinator
