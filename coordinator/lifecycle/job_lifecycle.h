// The states of a job and what moves it between them: one pure function.
//
//   QUEUED -> STARTING -> RUNNING -> SUCCEEDED
//   QUEUED -> CANCELLED;   STARTING | RUNNING -> CANCELLING -> CANCELLED;   any state that is not final -> FAILED
//
// SUCCEEDED, FAILED and CANCELLED are final: nothing changes them. RECOVERING, PAUSING and PAUSED exist in the
// protocol and are not entered yet.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "coordinator/lifecycle/clock.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// Who ends an attempt that has been asked to end.
enum class LaunchedBy { kCoordinator, kUser };

struct JobLifecycle {
  v1::JobState state = v1::JOB_STATE_QUEUED;
  std::string reason;  // one sentence
  v1::FailureKind failure_kind = v1::FAILURE_KIND_UNSPECIFIED;
  WallTime start_time{};  // of the newest attempt; epoch: none yet
  WallTime end_time{};    // epoch: not final
  LaunchedBy launched_by = LaunchedBy::kCoordinator;
  bool all_ranks_finished = false;
  std::string stopped_early = {};  // with all_ranks_finished: why they did not go on to the end of the plan
};

struct AttemptLaunched {  // mpirun is about to be started
  std::int64_t generation;
};
struct AttemptRegistered {  // rank 0 of workers that the user started
  std::int64_t generation;
  std::string host;
};
struct SlotsAwaited {  // fewer are free than the job needs
  int wanted;
  int free;
  int total;
};
struct RanksMissing {  // at the end of the time they had to register
  std::string text;
};
struct LaunchRefused {
  std::string why;
};
struct SpecRefused {  // stored by another version of the program, whose rules were others
  std::string why;
};
struct SetAside {  // what is stored of it cannot be loaded
  std::string why;
};
struct TrainingStarted {
  std::int64_t total_steps;
  int world_size;
  std::int64_t first_step = 0;  // after 0: from a checkpoint
};
struct RankFailed {
  int rank;
  std::string reason;
  v1::FailureKind kind;
};
struct RankSilent {
  int rank;
  std::string host;
  std::int64_t seconds;
};
struct DigestsDiffer {
  int rank;
  int other_rank;
  std::int64_t step;
};
struct RanksFinished {  // every rank, with equal digests, at the planned step or all of them early
  int world_size;
  std::string stopped_early = {};  // "stopped early at step 40 of 100: ..."; empty: at the planned step
};
struct LauncherExited {
  int exit_code;          // 128 + n after signal n
  std::string last_line;  // of its log; may be empty
  int ranks_finished;
  int world_size;                      // 0: none had registered
  std::string unconfirmed_hosts = {};  // where ranks may go on, as nobody could reach them; empty: no process is left
};
struct CancelRequested {};
struct RanksLeft {                     // a cancelled attempt that the user had started has no rank left
  std::string unconfirmed_hosts = {};  // as LauncherExited
};
struct CoordinatorStopped {};    // in order, now
struct CoordinatorRestarted {};  // and does not know how it ended

using JobEvent =
    std::variant<AttemptLaunched, AttemptRegistered, SlotsAwaited, RanksMissing, LaunchRefused, SpecRefused, SetAside,
                 TrainingStarted, RankFailed, RankSilent, DigestsDiffer, RanksFinished, LauncherExited, CancelRequested,
                 RanksLeft, CoordinatorStopped, CoordinatorRestarted>;

// STARTING or RUNNING: ranks are there, or on their way, and are to go on.
bool has_attempt(v1::JobState state);

// The job after `event` at `now`. An event that means nothing in this state leaves it as it is: a report of an attempt
// may arrive after the job is final.
JobLifecycle next(const JobLifecycle& job, const JobEvent& event, WallTime now);

}  // namespace equipoise::coordinator
