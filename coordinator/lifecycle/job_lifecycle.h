// The states of a job and what moves it between them: one pure function.
//
//   QUEUED -> STARTING -> RUNNING -> SUCCEEDED
//   STARTING | RUNNING -> RECOVERING -> STARTING          by itself, as often as launch.max_restarts says
//   STARTING | RUNNING -> QUEUED                          the same where the user starts its ranks
//   RUNNING -> PAUSING -> PAUSED -> QUEUED                 on request; what has no ranks that train is PAUSED sooner;
//                                                          or at the end of the time that it may be RUNNING
//   STARTING -> PAUSING -> PAUSED                          when its ranks refuse inputs that an earlier attempt had
//   read RUNNING -> QUEUED                                      when a job of a higher priority needs the room QUEUED |
//   PAUSED -> CANCELLED;   STARTING | RUNNING | RECOVERING | PAUSING -> CANCELLING -> CANCELLED any state that is not
//   final -> FAILED
//
// SUCCEEDED, FAILED and CANCELLED are final: nothing changes them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/lifecycle/clock.h"
#include "coordinator/lifecycle/restart_policy.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// Who ends an attempt that has been asked to end.
enum class LaunchedBy { kCoordinator, kUser };

// How an attempt failed, as the event says that told of it first; a failure of the job itself takes the place of what
// others had told before, as that followed from it.
struct FailureFacts {
  std::int64_t generation = 0;
  WallTime time{};
  v1::FailureKind kind = v1::FAILURE_KIND_UNSPECIFIED;
  std::string reason = {};
  std::int64_t step = 0;  // steps done
  std::optional<int> rank = {}, signal = {}, exit_code = {};
  bool operator==(const FailureFacts&) const = default;
};

// Whether the coordinator is about to stop, and no loss of ranks is a failure any more: they are ended with it.
enum class CoordinatorStop { kNone, kInOrder, kForGood };

struct JobLifecycle {
  v1::JobState state = v1::JOB_STATE_QUEUED;
  std::string reason;  // one sentence
  v1::FailureKind failure_kind = v1::FAILURE_KIND_UNSPECIFIED;
  WallTime start_time{};  // of the newest attempt; epoch: none yet
  WallTime end_time{};    // epoch: not final
  LaunchedBy launched_by = LaunchedBy::kCoordinator;
  bool all_ranks_finished = false;
  std::string ending = {};  // with all_ranks_finished: RanksFinished::ending
  // After failures of the infrastructure, without a checkpoint between; 0: every failure is the job's end.
  int max_restarts = 0;
  std::int64_t generation = 0;                                 // of the newest attempt
  std::int64_t step = 0;                                       // steps done
  bool has_trained = false;                                    // an attempt had read its data and begun
  bool has_newest_trained = false;                             // the newest one has
  std::vector<AttemptFailure> failures = {};                   // since the newest checkpoint, oldest first
  RestartCause restart_cause = RestartCause::kInfrastructure;  // RECOVERING: why
  // Steps done when all ranks of the newest attempt had left with a checkpoint, to go on from there.
  std::optional<std::int64_t> left_at_step = std::nullopt;
  bool ends_processes = false;      // PAUSING: nothing is waited for but the end of its processes
  std::string pause_trouble = {};   // PAUSING: why its ranks were lost before they had left; empty mostly
  std::string pause_cause = {};     // PAUSING: why, where people have not asked for it
  std::string refused_inputs = {};  // PAUSING: by which rank, and why, though an earlier attempt had read them
  bool resumes = false;             // PAUSING: it is to go on once it is PAUSED
  std::string preempted_by = {};    // RUNNING, RECOVERING: the job that needs its room; empty: none
  std::string preemption = {};      // QUEUED: how its last attempt has made room; empty: it has not
  std::string batch = {};           // which data the next step is made of; empty: not known
  CoordinatorStop stop = CoordinatorStop::kNone;
  std::optional<FailureFacts> failure = {};  // of the newest attempt that failed, since the coordinator started
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
  std::string unused_hosts = {};  // for now, and why; empty: none
};
struct MachineAwaited {  // nothing is started on it for now
  std::string why;       // "node2, where ...", as of hosts that are not used
};
struct RoomAwaited {  // that running jobs make
  std::string jobs;   // their ids
};
struct Preempted {  // a job of a higher priority needs its room: its ranks are to make a checkpoint and leave
  std::string by;
  bool has_stepped = true;  // the attempt has; one that has not has nothing to save, and is ended
};
struct PreemptionOverdue {  // they have not left in time
  std::int64_t seconds;
};
struct TimeLimitReached {  // of launch.time_limit_seconds
  std::int64_t seconds;
};
struct RanksMissing {  // at the end of the time they had to register
  std::string text;
};
struct RanksNotBack {  // of an attempt that was taken over, in the time that they had
  std::string text;
};
struct LaunchRefused {
  std::string why;
  bool was_interrupted = false;  // what was to start the processes was killed
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
struct RankStalled {
  std::optional<int> rank;  // none: all wait for each other
  std::string text;
};
struct DigestsDiffer {
  int rank;
  int other_rank;
  std::int64_t step;
};
struct RanksFinished {  // every rank, with equal digests, at the planned step or all of them early
  int world_size;
  std::string ending = {};  // "stopped early at step 40 of 100: ..."; empty: as planned
};
struct LauncherExited {
  int exit_code;          // 128 + n after signal n
  std::string last_line;  // of its log; may be empty
  int ranks_finished;
  int world_size;                      // 0: none had registered
  std::string unconfirmed_hosts = {};  // where ranks may go on, as nobody could reach them; empty: no process is left
  bool leaves_processes = false;       // on a host that could not be reached, and they may still run
  bool lost_contact = false;           // with a host
  bool was_asked_to_end = false;       // by the coordinator: it had not ended by itself
  // Of the rank that ended first by itself, where Open MPI says which it was.
  std::optional<int> rank = {}, signal = {}, rank_exit_code = {};
  bool was_taken_over = false;  // from an earlier coordinator, which may have heard more of its ranks
  bool was_away = false;        // the coordinator, when it ended
};
struct CancelRequested {
  bool has_processes = false;  // of an attempt that has failed
};
struct PauseRequested {
  bool has_processes = false;  // as CancelRequested
};
struct ResumeRequested {};
struct RanksPaused {  // every rank has left, with a checkpoint of all steps done
  std::int64_t step;
};
struct PauseFailed {  // the checkpoint could not be written, and the ranks go on
  std::string why;
};
struct ProcessesEnded {};              // of a job that is PAUSING and waits for nothing else
struct RanksLeft {                     // a cancelled attempt that the user had started has no rank left
  std::string unconfirmed_hosts = {};  // as LauncherExited
};
struct HostsAwaited {  // of a failed attempt: its ranks there may still run
  std::string hosts;
};
struct CoordinatorStopping {  // in order, once its ranks have made a checkpoint and left
  bool for_good = false;      // as CoordinatorStopped
};
struct CoordinatorStopped {  // in order, now
  bool for_good = false;     // no other one will go on with its jobs
};
// And does not know how the attempt ended.
struct CoordinatorRestarted {
  std::chrono::seconds delay{};  // until ranks that are left must have ended
  bool was_stopped = false;      // RECOVERING: the coordinator before, in order, which ended the newest attempt
};

using JobEvent =
    std::variant<AttemptLaunched, AttemptRegistered, SlotsAwaited, MachineAwaited, RanksMissing, RanksNotBack,
                 LaunchRefused, SpecRefused, SetAside, TrainingStarted, RankFailed, RankSilent, RankStalled,
                 DigestsDiffer, RanksFinished, LauncherExited, CancelRequested, RanksLeft, HostsAwaited, PauseRequested,
                 ResumeRequested, RanksPaused, PauseFailed, ProcessesEnded, CoordinatorStopped, CoordinatorRestarted,
                 RoomAwaited, Preempted, PreemptionOverdue, TimeLimitReached, CoordinatorStopping>;

// STARTING or RUNNING: ranks are there, or on their way, and are to go on.
bool has_attempt(v1::JobState state);

// Why a job is PAUSING that has been RUNNING for as long as it may be.
std::string time_limit_sentence(std::int64_t seconds);

// PAUSING, and its ranks are to make a checkpoint and leave, which they have not done yet.
bool awaits_checkpoint(const JobLifecycle& job);

// The job after `event` at `now`. An event that means nothing in this state leaves it as it is: a report of an attempt
// may arrive after the job is final.
JobLifecycle next(const JobLifecycle& job, const JobEvent& event, WallTime now);

}  // namespace equipoise::coordinator
