#include "coordinator/lifecycle/job_lifecycle.h"

#include <utility>

#include "common/protocol/job_state.h"

namespace equipoise::coordinator {
namespace {

JobLifecycle moved(JobLifecycle job, v1::JobState state, std::string reason, WallTime now) {
  job.state = state;
  job.reason = std::move(reason);
  if (is_final(state)) job.end_time = now;
  return job;
}

JobLifecycle failed(JobLifecycle job, v1::FailureKind kind, std::string reason, WallTime now) {
  job.failure_kind = kind;
  return moved(std::move(job), v1::JOB_STATE_FAILED, std::move(reason), now);
}

std::string exit_sentence(const LauncherExited& exit) {
  std::string text = "mpirun exited with code " + std::to_string(exit.exit_code);
  if (!exit.last_line.empty()) text += ": " + exit.last_line;
  return text;
}

std::string set_aside_text(const std::string& why) {
  return "set aside, as what is stored of it is damaged: " + why +
         "; its records are kept, equipoise-coordinator --check tells of all";
}

constexpr const char* kCoordinatorStopped = "the coordinator was stopped";

constexpr int kOfSignals = 128;                  // an exit code of mpirun above it is that and a signal's number
constexpr int kKilled = 137, kTerminated = 143;  // SIGKILL, SIGTERM
constexpr int kNoCoordinator = 75;               // of a rank that had waited for as long as it may

std::string restarts_text(std::size_t count) { return std::to_string(count) + (count == 1 ? " restart" : " restarts"); }

// "attempt 2 ..., restart 1 of 3 without a checkpoint between".
std::string next_attempt_text(const JobLifecycle& job, const std::string& what) {
  std::string text = "attempt " + std::to_string(job.generation + 1) + " " + what;
  const std::size_t restarts = failures_by(job.failures, RestartCause::kInfrastructure);
  if (restarts == 0) return text;
  return text + ", restart " + std::to_string(restarts) + " of " + std::to_string(job.max_restarts) +
         " without a checkpoint between";
}

// With why there is a next attempt at all.
std::string recovering_text(const JobLifecycle& job, const std::string& what) {
  std::string why = job.failures.empty() ? kCoordinatorStopped : job.failures.back().cause;
  if (job.left_at_step) {
    why = "its ranks left at step " + std::to_string(*job.left_at_step) +
          " with a checkpoint, as one of them was asked to end";
  }
  return why + "; " + next_attempt_text(job, what);
}

std::string starts_within(std::chrono::seconds delay) {
  return "starts within " + std::to_string(delay.count()) + " s";
}

// One overload for each event; `job` is not final.
struct Transition {
  const JobLifecycle& job;
  WallTime now;

  bool is_waiting() const { return job.state == v1::JOB_STATE_QUEUED || job.state == v1::JOB_STATE_RECOVERING; }
  bool is_pausing() const { return job.state == v1::JOB_STATE_PAUSING; }
  bool is_paused() const { return job.state == v1::JOB_STATE_PAUSED; }
  bool is_of_user() const { return job.launched_by == LaunchedBy::kUser; }
  bool is_stopping() const { return job.stop != CoordinatorStop::kNone; }

  JobLifecycle begin_attempt(std::string reason) const {
    if (!is_waiting()) return job;
    JobLifecycle after = moved(job, v1::JOB_STATE_STARTING, std::move(reason), now);
    after.start_time = now;
    after.has_newest_trained = false;
    return without_end(std::move(after));
  }

  // How the attempt before has ended is of no concern any more.
  static JobLifecycle without_end(JobLifecycle after) {
    after.all_ranks_finished = false;
    after.ending.clear();
    after.left_at_step.reset();
    after.ends_processes = false;
    after.pause_trouble.clear();
    after.resumes = false;
    after.pause_cause.clear();
    after.refused_inputs.clear();
    after.preempted_by.clear();
    after.preemption.clear();
    return after;
  }

  JobLifecycle operator()(const AttemptLaunched& launched) const {
    return begin_attempt("attempt " + std::to_string(launched.generation) + " is being started by mpirun");
  }

  JobLifecycle operator()(const AttemptRegistered& registered) const {
    return begin_attempt("rank 0 of attempt " + std::to_string(registered.generation) + " has registered from " +
                         registered.host);
  }

  JobLifecycle operator()(const SlotsAwaited& slots) const {
    if (!is_waiting()) return job;
    const std::string free = std::to_string(slots.free) + " of " + std::to_string(slots.total) +
                             (slots.free == 1 ? " is free" : " are free");
    const std::string unused = slots.unused_hosts.empty() ? "" : "; not used: " + slots.unused_hosts;
    return awaiting(std::to_string(slots.wanted) + " free slots; " + free + unused);
  }

  JobLifecycle operator()(const MachineAwaited& machine) const {
    return is_waiting() ? awaiting("this machine; not used: " + machine.why) : job;
  }

  JobLifecycle operator()(const RoomAwaited& room) const {
    if (!is_waiting()) return job;
    return awaiting(room.jobs + " to make room");
  }

  JobLifecycle awaiting(const std::string& what) const {
    if (job.state == v1::JOB_STATE_RECOVERING) {
      return moved(job, job.state, recovering_text(job, "waits for " + what), now);
    }
    return moved(job, job.state, (job.preemption.empty() ? "" : job.preemption + "; ") + "waiting for " + what, now);
  }

  JobLifecycle operator()(const Preempted& preempted) const {
    const bool has_left = job.left_at_step || job.all_ranks_finished;
    if (!has_attempt(job.state) || has_left || is_of_user()) return job;
    if (job.state == v1::JOB_STATE_STARTING || !preempted.has_stepped) return preempted_before_a_step(preempted.by);
    JobLifecycle after = job;
    after.preempted_by = preempted.by;
    return moved(
        std::move(after), job.state,
        "its ranks make a checkpoint and leave, as job " + preempted.by + " of a higher priority needs the room", now);
  }

  // Its processes are ended: a load of a model may take longer than the job of a higher priority should wait.
  JobLifecycle preempted_before_a_step(const std::string& by) const {
    JobLifecycle after = without_end(job);
    after.preempted_by = by;
    AttemptFailure failure =
        failure_of("job " + by + " of a higher priority needs the room, and the attempt had done no step");
    after.restart_cause = failure.restart_cause = RestartCause::kPreemption;
    after.failures.push_back(std::move(failure));
    std::string reason = recovering_text(after, "starts when there is room");
    return moved(std::move(after), v1::JOB_STATE_RECOVERING, std::move(reason), now);
  }

  // Its processes are ended. Nothing of it is the job's fault, so that it goes on whatever launch.max_restarts says.
  JobLifecycle operator()(const PreemptionOverdue& overdue) const {
    const bool has_left = job.left_at_step || job.all_ranks_finished;
    if (job.state != v1::JOB_STATE_RUNNING || has_left || job.preempted_by.empty()) return job;
    JobLifecycle after = without_end(job);
    AttemptFailure failure = failure_of("job " + job.preempted_by +
                                        " of a higher priority needs the room, and the ranks had not left within " +
                                        std::to_string(overdue.seconds) + " s");
    after.restart_cause = failure.restart_cause = RestartCause::kPreemption;
    after.failures.push_back(std::move(failure));
    std::string reason = recovering_text(after, "starts when there is room");
    return moved(std::move(after), v1::JOB_STATE_RECOVERING, std::move(reason), now);
  }

  JobLifecycle queued_again() const {
    JobLifecycle after = without_end(job);
    after.restart_cause = RestartCause::kPreemption;
    after.preemption = "preempted at step " + std::to_string(*job.left_at_step) + " by job " + job.preempted_by +
                       " of a higher priority, with a checkpoint";
    std::string reason = after.preemption + "; " + waiting_text();
    return moved(std::move(after), v1::JOB_STATE_QUEUED, std::move(reason), now);
  }

  JobLifecycle operator()(const HostsAwaited& unconfirmed) const {
    if (job.state != v1::JOB_STATE_RECOVERING && !(is_pausing() && job.ends_processes)) return job;
    const std::string what = "waits until the ranks of attempt " + std::to_string(job.generation) + " on " +
                             unconfirmed.hosts + ", which could not be reached, must have ended";
    if (is_pausing()) return moved(job, job.state, why_pausing() + "; " + what + goes_on_text(), now);
    return moved(job, job.state, recovering_text(job, what), now);
  }

  // The attempt has ended through no fault of the job's: another one follows, if there may be one.
  JobLifecycle lost(AttemptFailure failure, RestartCause cause, const std::string& when = "") const {
    if (is_stopping()) return stopped();
    if (job.max_restarts == 0) return failed(job, v1::FAILURE_KIND_INFRASTRUCTURE, failure.cause, now);
    JobLifecycle after = without_end(job);
    after.restart_cause = failure.restart_cause = cause;
    after.failures.push_back(std::move(failure));
    const std::string& last = after.failures.back().cause;
    const std::string before = causes_before_last(after.failures);
    if (is_crash_loop(after.failures)) {
      std::string reason = "failed twice in a row at step " + std::to_string(job.step) + ", alike";
      if (!job.batch.empty()) reason += ", whose batch is " + job.batch;
      reason += "; last: " + last + before;
      return failed(std::move(after), v1::FAILURE_KIND_PROGRAM, std::move(reason), now);
    }
    const std::size_t failures = failures_by(after.failures, cause);
    if (cause == RestartCause::kCoordinator && failures > kMostCoordinatorLosses) {
      std::string reason = "the coordinator was lost " + std::to_string(failures) +
                           " times without a checkpoint between; last: " + last + before;
      return failed(std::move(after), v1::FAILURE_KIND_INFRASTRUCTURE, std::move(reason), now);
    }
    if (cause == RestartCause::kInfrastructure && failures > static_cast<std::size_t>(job.max_restarts)) {
      std::string reason =
          "failed after " + restarts_text(failures - 1) + " without a checkpoint between; last: " + last + before;
      return failed(std::move(after), v1::FAILURE_KIND_INFRASTRUCTURE, std::move(reason), now);
    }
    if (is_of_user()) {
      std::string waits = recovering_text(after, "waits for its workers to register");
      return moved(std::move(after), v1::JOB_STATE_QUEUED, std::move(waits), now);
    }
    std::string reason = recovering_text(after, when.empty() ? starts_within(restart_delay(after.failures)) : when);
    return moved(std::move(after), v1::JOB_STATE_RECOVERING, std::move(reason), now);
  }

  std::string why_pausing() const {
    if (!job.refused_inputs.empty()) return "pausing, as " + job.refused_inputs;
    return job.pause_cause.empty() ? "pausing on request" : "pausing, as " + job.pause_cause;
  }
  std::string goes_on_text() const { return job.resumes ? "; the job goes on once it is PAUSED" : ""; }

  // PAUSING: its ranks were lost before they had left, through no fault of the job's.
  JobLifecycle pausing_without_checkpoint(const std::string& cause) const {
    if (job.ends_processes || job.left_at_step) return job;
    JobLifecycle after = without_end(job);
    after.ends_processes = true;
    after.pause_trouble = is_stopping() ? kCoordinatorStopped : cause;
    after.resumes = job.resumes;
    after.pause_cause = job.pause_cause;
    const std::string& trouble = after.pause_trouble;
    std::string reason = why_pausing() + "; " + trouble +
                         "; its processes are ending, and it goes on from its newest checkpoint" + goes_on_text();
    return moved(std::move(after), job.state, std::move(reason), now);
  }

  // Data that were changed, or a folder that is not mounted: whoever mends it resumes the job, which has lost nothing.
  JobLifecycle pausing_for_inputs(const std::string& cause) const {
    JobLifecycle after = without_end(job);
    after.ends_processes = true;
    after.refused_inputs = "its inputs are refused, which an earlier attempt had read: " + cause;
    std::string reason = Transition{.job = after, .now = now}.pausing_text();
    return moved(std::move(after), v1::JOB_STATE_PAUSING, std::move(reason), now);
  }

  // Of a job of which no process is left.
  JobLifecycle paused(const std::string& how) const {
    JobLifecycle after = without_end(job);
    const std::string cause =
        job.pause_cause.empty() ? "" : "; " + job.pause_cause + ", and a resume gives it as much again";
    if (!job.resumes) return moved(std::move(after), v1::JOB_STATE_PAUSED, how + cause, now);
    return moved(std::move(after), v1::JOB_STATE_QUEUED, how + ", and resumed; " + waiting_text(), now);
  }
  std::string paused_text() const {
    if (job.left_at_step) return "paused at step " + std::to_string(*job.left_at_step) + " with a checkpoint";
    if (!job.has_trained) return "paused before it had begun to train";
    if (!job.refused_inputs.empty()) {
      return "paused, as " + job.refused_inputs + "; once they are as they were, `jobs resume` goes on";
    }
    return "paused; " + (job.pause_trouble.empty() ? "" : job.pause_trouble + "; ") +
           "it goes on from its newest checkpoint";
  }
  std::string waiting_text() const {
    return is_of_user() ? "waiting for its workers to register" : "waiting for a free place";
  }

  AttemptFailure failure_of(std::string cause) const { return {.cause = std::move(cause), .step = job.step}; }
  AttemptFailure failure_of_job(std::string cause) const {
    return {.cause = std::move(cause), .step = job.step, .is_of_the_job = true};
  }

  // Before a first start that went well, a host that cannot be reached is a mistake of whoever set up the hosts.
  JobLifecycle operator()(const RanksMissing& ranks) const {
    if (!has_attempt(job.state)) return job;
    if (!job.has_trained) return failed(job, v1::FAILURE_KIND_INFRASTRUCTURE, ranks.text, now);
    return lost(failure_of(ranks.text), RestartCause::kInfrastructure);
  }

  JobLifecycle operator()(const RanksNotBack& ranks) const {
    if (is_pausing()) return pausing_without_checkpoint(ranks.text);
    if (!has_attempt(job.state) || job.left_at_step) return job;
    return lost(failure_of(ranks.text), RestartCause::kCoordinator);
  }

  // What could be started before may be started again: memory or processes were short.
  JobLifecycle operator()(const LaunchRefused& refused) const {
    if (!has_attempt(job.state)) return job;
    const std::string cause = "mpirun could not be started: " + refused.why;
    if (job.generation <= 1 && !refused.was_interrupted)
      return failed(job, v1::FAILURE_KIND_INFRASTRUCTURE, cause, now);
    return lost(failure_of(cause), RestartCause::kInfrastructure);
  }

  JobLifecycle operator()(const SpecRefused& refused) const {
    if (!is_waiting() && !is_pausing() && !is_paused()) return job;
    return failed(job, v1::FAILURE_KIND_INVALID_INPUT, refused.why, now);
  }

  JobLifecycle operator()(const SetAside& aside) const {
    return failed(job, v1::FAILURE_KIND_INFRASTRUCTURE, set_aside_text(aside.why), now);
  }

  JobLifecycle operator()(const TrainingStarted& started) const {
    if (job.state != v1::JOB_STATE_STARTING) return job;
    std::string reason = "training " + std::to_string(started.total_steps) +
                         (started.total_steps == 1 ? " step on " : " steps on ") + std::to_string(started.world_size) +
                         (started.world_size == 1 ? " rank" : " ranks");
    if (started.first_step > 0) reason += ", from the checkpoint of step " + std::to_string(started.first_step);
    JobLifecycle after = moved(job, v1::JOB_STATE_RUNNING, std::move(reason), now);
    after.has_trained = after.has_newest_trained = true;
    return after;
  }

  JobLifecycle operator()(const RankFailed& rank) const {
    const auto kind = rank.kind == v1::FAILURE_KIND_UNSPECIFIED ? v1::FAILURE_KIND_PROGRAM : rank.kind;
    const std::string cause = "rank " + std::to_string(rank.rank) + ": " + rank.reason;
    if (kind != v1::FAILURE_KIND_INFRASTRUCTURE) {
      // Others may have told of what followed from it already: that it is the job's own failure counts.
      const bool is_known_as_lost = job.state == v1::JOB_STATE_RECOVERING;
      if (!has_attempt(job.state) && !is_pausing() && !is_known_as_lost) return job;
      const bool are_other_inputs =
          kind == v1::FAILURE_KIND_INVALID_INPUT && job.has_trained && !job.has_newest_trained;
      return are_other_inputs ? pausing_for_inputs(cause) : failed(job, kind, cause, now);
    }
    if (is_pausing()) return pausing_without_checkpoint(cause);
    if (!has_attempt(job.state) || job.left_at_step) return job;
    return lost(failure_of_job(cause), RestartCause::kInfrastructure);
  }

  JobLifecycle operator()(const RankSilent& rank) const {
    return lost_rank("rank " + std::to_string(rank.rank) + " on " + rank.host + " has not been heard of for " +
                     std::to_string(rank.seconds) + " s");
  }

  JobLifecycle operator()(const RankStalled& stalled) const { return lost_rank(stalled.text); }

  JobLifecycle lost_rank(const std::string& cause) const {
    if (is_pausing()) return pausing_without_checkpoint(cause);
    if (!has_attempt(job.state) || job.left_at_step) return job;
    return lost(failure_of(cause), RestartCause::kInfrastructure);
  }

  JobLifecycle operator()(const DigestsDiffer& ranks) const {
    if (!has_attempt(job.state) && !is_pausing()) return job;
    return failed(job, v1::FAILURE_KIND_PROGRAM,
                  "the parameters of rank " + std::to_string(ranks.rank) + " differ from those of rank " +
                      std::to_string(ranks.other_rank) + " after step " + std::to_string(ranks.step),
                  now);
  }

  JobLifecycle operator()(const RanksFinished& ranks) const {
    if (job.state != v1::JOB_STATE_RUNNING && !(is_pausing() && !job.ends_processes)) return job;
    JobLifecycle after = job;
    after.all_ranks_finished = true;
    after.ending = ranks.ending;
    if (job.launched_by == LaunchedBy::kCoordinator) {
      after.reason = "all ranks have finished; waiting for mpirun to exit";
      return after;
    }
    return succeeded(std::move(after), ranks.world_size);
  }

  JobLifecycle succeeded(JobLifecycle after, int world_size) const {
    std::string reason = world_size == 1
                             ? "trained on 1 rank"
                             : "trained on " + std::to_string(world_size) + " ranks, which ended with equal parameters";
    if (!after.ending.empty()) reason.append("; ").append(after.ending);
    return moved(std::move(after), v1::JOB_STATE_SUCCEEDED, std::move(reason), now);
  }

  JobLifecycle cancelled(const std::string& unconfirmed_hosts, const std::string& end) const {
    const std::string unreached = "its processes on " + unconfirmed_hosts +
                                  " could not be reached: they end by themselves without the coordinator";
    return moved(job, v1::JOB_STATE_CANCELLED, "cancelled on request; " + (unconfirmed_hosts.empty() ? end : unreached),
                 now);
  }

  // No rank has said why.
  JobLifecycle lost_by(const LauncherExited& exit) const {
    if (exit.was_away && exit.exit_code == kNoCoordinator) {
      AttemptFailure failure = failure_of("the coordinator was away for longer than its ranks wait");
      failure.exit_code = exit.exit_code;
      return lost(std::move(failure), RestartCause::kCoordinator);
    }
    AttemptFailure failure = failure_of(exit_sentence(exit));
    failure.exit_code = exit.exit_code;
    failure.is_of_the_job = exit.exit_code != kKilled && exit.exit_code != kTerminated && !exit.lost_contact;
    failure.is_crash = is_crash_signal(exit.signal.value_or(exit.exit_code - kOfSignals));
    return lost(std::move(failure),
                exit.exit_code == kTerminated ? RestartCause::kPreemption : RestartCause::kInfrastructure);
  }

  JobLifecycle operator()(const LauncherExited& exit) const {
    if (job.launched_by == LaunchedBy::kUser) return job;
    if (job.state == v1::JOB_STATE_CANCELLING) {
      return cancelled(exit.unconfirmed_hosts, "its processes have ended");
    }
    if (job.all_ranks_finished && exit.exit_code != 0 && exit.was_asked_to_end) {
      return failed(without_wishes(), v1::FAILURE_KIND_INFRASTRUCTURE,
                    "all ranks have finished, but mpirun did not end by itself and was ended: " + exit_sentence(exit),
                    now);
    }
    if (is_pausing() && has_paused_by(exit)) {
      const JobLifecycle after = job.left_at_step ? ending() : pausing_without_checkpoint(exit_sentence(exit));
      return exit.leaves_processes ? after : Transition{.job = after, .now = now}(ProcessesEnded{});
    }
    if (!has_attempt(job.state) && !is_pausing()) return job;
    if (job.left_at_step && !is_stopping()) return job.preempted_by.empty() ? restarts_after_leaving() : queued_again();
    // Where it has lost a host, the mpirun of Open MPI 5 ends with 0.
    if (exit.exit_code != 0 || (exit.lost_contact && !job.all_ranks_finished)) return lost_by(exit);
    if (job.all_ranks_finished) return succeeded(without_wishes(), exit.world_size);
    if (is_stopping()) return stopped();
    const std::string unfinished = "mpirun exited with code 0, but " + std::to_string(exit.ranks_finished) + " of " +
                                   std::to_string(exit.world_size) + " ranks had finished training";
    // They may have, and could not say so.
    if (exit.was_taken_over) return lost(failure_of(unfinished), RestartCause::kCoordinator);
    return failed(job, v1::FAILURE_KIND_PROGRAM, unfinished, now);
  }

  JobLifecycle operator()(const CancelRequested& cancel) const {
    if (job.state == v1::JOB_STATE_CANCELLING) return job;
    const bool is_recovering = job.state == v1::JOB_STATE_RECOVERING;
    if (is_paused()) return moved(job, v1::JOB_STATE_CANCELLED, "cancelled on request while it was paused", now);
    if (is_recovering && !cancel.has_processes) {
      return moved(job, v1::JOB_STATE_CANCELLED,
                   "cancelled on request before attempt " + std::to_string(job.generation + 1) + " started", now);
    }
    if (has_attempt(job.state) || is_recovering || is_pausing()) {
      return moved(job, v1::JOB_STATE_CANCELLING, "cancelled on request; its processes are ending", now);
    }
    const std::string what =
        job.generation == 0 ? "it started" : "attempt " + std::to_string(job.generation + 1) + " started";
    return moved(job, v1::JOB_STATE_CANCELLED, "cancelled on request before " + what, now);
  }

  JobLifecycle operator()(const PauseRequested& pause) const {
    const std::string next = "attempt " + std::to_string(job.generation + 1);
    switch (job.state) {
      case v1::JOB_STATE_QUEUED:
        return paused("paused before " + (job.generation == 0 ? std::string("it started") : next + " started"));
      case v1::JOB_STATE_RECOVERING:
        if (!pause.has_processes) return paused("paused before " + next + " started");
        return ending_on_request("what is left of attempt " + std::to_string(job.generation) + " is ending");
      case v1::JOB_STATE_STARTING:
        return ending_on_request("it has not begun to train, and its processes are ending");
      case v1::JOB_STATE_RUNNING:
        return moved(job, v1::JOB_STATE_PAUSING, pausing_text(), now);
      case v1::JOB_STATE_PAUSING:
        return job.resumes ? with_wish(false) : job;
      default:
        return job;
    }
  }

  JobLifecycle operator()(const TimeLimitReached& limit) const {
    if (job.state != v1::JOB_STATE_RUNNING || job.left_at_step || job.all_ranks_finished) return job;
    JobLifecycle after = job;
    after.preempted_by.clear();  // it leaves anyhow
    after.pause_cause = time_limit_sentence(limit.seconds);
    std::string reason = Transition{.job = after, .now = now}.pausing_text();
    return moved(std::move(after), v1::JOB_STATE_PAUSING, std::move(reason), now);
  }

  std::string pausing_text() const {
    if (job.all_ranks_finished) return why_pausing() + ", but all ranks have finished; waiting for mpirun to exit";
    if (job.left_at_step) return left_text() + "; waiting for mpirun to exit";
    if (job.ends_processes) return why_pausing() + "; its processes are ending";
    return why_pausing() + "; its ranks make a checkpoint and leave";
  }
  std::string left_text() const {
    return "its ranks have left at step " + std::to_string(*job.left_at_step) + " with a checkpoint";
  }

  // PAUSING: whether it is to go on once it is PAUSED.
  JobLifecycle with_wish(bool resumes) const {
    JobLifecycle after = job;
    after.resumes = resumes;
    const Transition pausing{.job = after, .now = now};
    std::string reason = pausing.pausing_text() + pausing.goes_on_text();
    return moved(JobLifecycle(after), job.state, std::move(reason), now);
  }
  JobLifecycle without_wishes() const {
    JobLifecycle after = job;
    after.resumes = false;
    after.pause_cause.clear();
    return after;
  }

  // Nothing is to be saved.
  JobLifecycle ending_on_request(const std::string& what) const {
    JobLifecycle after = job;
    after.ends_processes = true;
    return moved(std::move(after), v1::JOB_STATE_PAUSING, "pausing on request; " + what, now);
  }
  JobLifecycle ending() const {
    JobLifecycle after = job;
    after.ends_processes = true;
    return moved(std::move(after), job.state, left_text() + "; its processes are ending" + goes_on_text(), now);
  }

  // PAUSING: whether nothing keeps it from being PAUSED but processes that may be left.
  bool has_paused_by(const LauncherExited& exit) const {
    const bool is_unclear = (exit.was_taken_over || exit.lost_contact) && !job.all_ranks_finished;
    return job.ends_processes || job.left_at_step || exit.exit_code != 0 || is_unclear;
  }

  JobLifecycle operator()(const ResumeRequested&) const {
    if (is_pausing() && !job.resumes) return with_wish(true);
    if (!is_paused()) return job;
    return moved(job, v1::JOB_STATE_QUEUED, "resumed on request; " + waiting_text(), now);
  }

  // Asked to, or because somebody else, such as a batch system, has asked one of them to end.
  JobLifecycle operator()(const RanksPaused& ranks) const {
    if (job.state != v1::JOB_STATE_RUNNING && !(is_pausing() && !job.ends_processes)) return job;
    JobLifecycle after = job;
    after.left_at_step = ranks.step;
    if (is_of_user() && is_pausing()) {
      const Transition left{.job = after, .now = now};
      return left.paused(left.paused_text());
    }
    if (is_of_user()) {
      after.restart_cause = RestartCause::kPreemption;
      return moved(std::move(after), v1::JOB_STATE_QUEUED,
                   "left at step " + std::to_string(ranks.step) +
                       " with a checkpoint; waiting for its workers to register again",
                   now);
    }
    const Transition left{.job = after, .now = now};
    std::string reason = left.left_text() + "; waiting for mpirun to exit" + goes_on_text();
    return moved(JobLifecycle(after), job.state, std::move(reason), now);
  }

  // However often: all that was done is kept, so nothing is lost.
  JobLifecycle restarts_after_leaving() const {
    JobLifecycle after = without_end(job);
    after.left_at_step = job.left_at_step;
    after.restart_cause = RestartCause::kPreemption;
    std::string reason = recovering_text(after, starts_within(preemption_delay(after.failures)));
    return moved(std::move(after), v1::JOB_STATE_RECOVERING, std::move(reason), now);
  }

  JobLifecycle operator()(const PauseFailed& failure) const {
    const bool makes_room = job.state == v1::JOB_STATE_RUNNING && !job.preempted_by.empty() && !job.left_at_step;
    if (!awaits_checkpoint(job) && !makes_room) return job;
    JobLifecycle after = without_wishes();
    after.preempted_by.clear();
    const std::string what = makes_room ? "its ranks could not leave" : "the job could not be paused";
    return moved(std::move(after), v1::JOB_STATE_RUNNING, "training goes on, as " + what + ": " + failure.why, now);
  }

  JobLifecycle operator()(const ProcessesEnded&) const {
    return is_pausing() && (job.ends_processes || job.left_at_step) ? paused(paused_text()) : job;
  }

  JobLifecycle operator()(const RanksLeft& ranks) const {
    if (job.state != v1::JOB_STATE_CANCELLING || job.launched_by == LaunchedBy::kCoordinator) return job;
    return cancelled(ranks.unconfirmed_hosts, "its ranks have left");
  }

  JobLifecycle interrupted(const std::string& how) const {
    if (job.state == v1::JOB_STATE_CANCELLING) {
      return moved(job, v1::JOB_STATE_CANCELLED, "cancelled on request; " + how, now);
    }
    if (job.state == v1::JOB_STATE_QUEUED) return job;
    return failed(job, v1::FAILURE_KIND_INFRASTRUCTURE, while_it_was(how), now);
  }
  std::string while_it_was(const std::string& how) const { return how + " while the job was " + state_name(job.state); }

  JobLifecycle operator()(const CoordinatorStopped& stopped) const {
    if (is_paused()) return job;
    if (is_pausing()) return paused(paused_text());
    const bool has_started = has_attempt(job.state) || job.state == v1::JOB_STATE_RECOVERING;
    const bool was_preempted = job.state == v1::JOB_STATE_RECOVERING && job.restart_cause == RestartCause::kPreemption;
    const bool may_go_on = job.max_restarts > 0 || job.left_at_step || was_preempted;
    if (!has_started || !may_go_on || stopped.for_good) return interrupted(kCoordinatorStopped);
    JobLifecycle after = without_end(job);
    after.restart_cause = RestartCause::kCoordinator;
    if (is_of_user()) {
      return moved(std::move(after), v1::JOB_STATE_QUEUED,
                   std::string(kCoordinatorStopped) + "; waiting for its workers to register again", now);
    }
    // It may be told of the stop twice: once its ranks have left, and at the end.
    after.left_at_step = job.left_at_step;
    const std::string from =
        job.left_at_step ? "from the checkpoint of step " + std::to_string(*job.left_at_step) + " " : "";
    return moved(std::move(after), v1::JOB_STATE_RECOVERING,
                 std::string(kCoordinatorStopped) + "; the job goes on " + from + "when one starts", now);
  }

  // Whatever becomes of its ranks from now on, the stop is why.
  JobLifecycle operator()(const CoordinatorStopping& stopping) const {
    if (job.state != v1::JOB_STATE_RUNNING && !is_pausing()) return job;
    JobLifecycle after = job;
    after.stop = stopping.for_good ? CoordinatorStop::kForGood : CoordinatorStop::kInOrder;
    if (is_pausing() || job.left_at_step || job.all_ranks_finished) return after;
    return moved(std::move(after), job.state, "its ranks make a checkpoint and leave, as the coordinator stops", now);
  }

  JobLifecycle stopped() const {
    return (*this)(CoordinatorStopped{.for_good = job.stop == CoordinatorStop::kForGood});
  }

  JobLifecycle operator()(const CoordinatorRestarted& restarted) const {
    if (is_paused()) return job;
    if (is_pausing()) return paused(paused_text());
    if (job.state == v1::JOB_STATE_RECOVERING) {
      JobLifecycle after = job;
      after.restart_cause = RestartCause::kCoordinator;
      std::string reason = restarted.was_stopped ? std::string(kCoordinatorStopped) + "; " +
                                                       next_attempt_text(job, "starts when there is room")
                                                 : recovering_text(after, "starts when there is room");
      return moved(std::move(after), v1::JOB_STATE_RECOVERING, std::move(reason), now);
    }
    if (!has_attempt(job.state) || job.max_restarts == 0) return interrupted("the coordinator was lost");
    std::string when;
    if (restarted.delay.count() > 0) {
      when = "starts in " + std::to_string(restarted.delay.count()) + " s, when ranks that it left must have ended";
    }
    return lost(failure_of(while_it_was("the coordinator was lost")), RestartCause::kCoordinator, when);
  }
};

}  // namespace

std::string time_limit_sentence(std::int64_t seconds) {
  return "it has been RUNNING for the " + std::to_string(seconds) + " s of its time limit";
}

bool awaits_checkpoint(const JobLifecycle& job) {
  return job.state == v1::JOB_STATE_PAUSING && !job.ends_processes && !job.left_at_step && !job.all_ranks_finished;
}

bool has_attempt(v1::JobState state) { return state == v1::JOB_STATE_STARTING || state == v1::JOB_STATE_RUNNING; }

namespace {

// What an event tells of the rank that failed.
struct RankOfEvent {
  FailureFacts& facts;

  void operator()(const RankFailed& event) const { facts.rank = event.rank; }
  void operator()(const RankSilent& event) const { facts.rank = event.rank; }
  void operator()(const RankStalled& event) const { facts.rank = event.rank; }
  void operator()(const DigestsDiffer& event) const { facts.rank = event.rank; }
  void operator()(const LauncherExited& event) const {
    facts.rank = event.rank;
    facts.signal = event.signal;
    facts.exit_code = event.rank_exit_code;
  }
  template <typename Event>
  void operator()(const Event&) const {}
};

bool is_failure_of_job(v1::FailureKind kind) { return kind != v1::FAILURE_KIND_INFRASTRUCTURE; }

// Whether an attempt of `job` has failed by an event after which it is `after`, and why.
std::optional<std::string> failure_between(const JobLifecycle& job, const JobEvent& event, const JobLifecycle& after) {
  const bool is_none = std::holds_alternative<SetAside>(event) || std::holds_alternative<SpecRefused>(event) ||
                       std::holds_alternative<Preempted>(event);
  if (job.generation == 0 || is_none) return std::nullopt;
  if (after.failures.size() > job.failures.size()) return after.failures.back().cause;
  const bool is_of_attempt =
      has_attempt(job.state) || job.state == v1::JOB_STATE_PAUSING || std::holds_alternative<RankFailed>(event);
  if (after.state == v1::JOB_STATE_FAILED && is_of_attempt) return after.reason;
  if (after.refused_inputs != job.refused_inputs && !after.refused_inputs.empty()) return after.refused_inputs;
  const bool was_lost_in_pause = after.pause_trouble != job.pause_trouble && !after.pause_trouble.empty();
  return was_lost_in_pause ? std::optional(after.pause_trouble) : std::nullopt;
}

}  // namespace

JobLifecycle next(const JobLifecycle& job, const JobEvent& event, WallTime now) {
  if (is_final(job.state)) return job;
  JobLifecycle after = std::visit(Transition{.job = job, .now = now}, event);
  if (const auto reason = failure_between(job, event, after)) {
    auto kind = v1::FAILURE_KIND_INFRASTRUCTURE;
    if (after.state == v1::JOB_STATE_FAILED) kind = after.failure_kind;
    if (!after.refused_inputs.empty()) kind = v1::FAILURE_KIND_INVALID_INPUT;
    FailureFacts& facts = after.failure.emplace(
        FailureFacts{.generation = job.generation, .time = now, .kind = kind, .reason = *reason, .step = job.step});
    // A rank that ended with its coordinator has not failed.
    if (job.stop == CoordinatorStop::kNone || is_failure_of_job(facts.kind)) std::visit(RankOfEvent{facts}, event);
  }
  return after;
}

}  // namespace equipoise::coordinator
