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

// One overload for each event; `job` is not final.
struct Transition {
  const JobLifecycle& job;
  WallTime now;

  JobLifecycle begin_attempt(std::string reason) const {
    if (job.state != v1::JOB_STATE_QUEUED) return job;
    JobLifecycle after = moved(job, v1::JOB_STATE_STARTING, std::move(reason), now);
    after.start_time = now;
    after.all_ranks_finished = false;
    after.stopped_early.clear();
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
    if (job.state != v1::JOB_STATE_QUEUED) return job;
    return moved(job, v1::JOB_STATE_QUEUED,
                 "waiting for " + std::to_string(slots.wanted) + " free slots; " + std::to_string(slots.free) + " of " +
                     std::to_string(slots.total) + (slots.free == 1 ? " is free" : " are free"),
                 now);
  }

  JobLifecycle operator()(const RanksMissing& ranks) const {
    if (!has_attempt(job.state)) return job;
    return failed(job, v1::FAILURE_KIND_INFRASTRUCTURE, ranks.text, now);
  }

  JobLifecycle operator()(const LaunchRefused& refused) const {
    if (!has_attempt(job.state)) return job;
    return failed(job, v1::FAILURE_KIND_INFRASTRUCTURE, "mpirun could not be started: " + refused.why, now);
  }

  JobLifecycle operator()(const SpecRefused& refused) const {
    if (job.state != v1::JOB_STATE_QUEUED) return job;
    return failed(job, v1::FAILURE_KIND_INVALID_INPUT, refused.why, now);
  }

  JobLifecycle operator()(const SetAside& aside) const {
    return failed(job, v1::FAILURE_KIND_INFRASTRUCTURE, set_aside_text(aside.why), now);
  }

  JobLifecycle operator()(const TrainingStarted& started) const {
    if (job.state != v1::JOB_STATE_STARTING) return job;
    std::string reason = "training " + std::to_string(started.total_steps) + " steps on " +
                         std::to_string(started.world_size) + (started.world_size == 1 ? " rank" : " ranks");
    if (started.first_step > 0) reason += ", from the checkpoint of step " + std::to_string(started.first_step);
    return moved(job, v1::JOB_STATE_RUNNING, std::move(reason), now);
  }

  JobLifecycle operator()(const RankFailed& rank) const {
    if (!has_attempt(job.state)) return job;
    const auto kind = rank.kind == v1::FAILURE_KIND_UNSPECIFIED ? v1::FAILURE_KIND_PROGRAM : rank.kind;
    return failed(job, kind, "rank " + std::to_string(rank.rank) + ": " + rank.reason, now);
  }

  JobLifecycle operator()(const RankSilent& rank) const {
    if (!has_attempt(job.state)) return job;
    return failed(job, v1::FAILURE_KIND_INFRASTRUCTURE,
                  "rank " + std::to_string(rank.rank) + " on " + rank.host + " has not been heard of for " +
                      std::to_string(rank.seconds) + " s",
                  now);
  }

  JobLifecycle operator()(const DigestsDiffer& ranks) const {
    if (!has_attempt(job.state)) return job;
    return failed(job, v1::FAILURE_KIND_PROGRAM,
                  "the parameters of rank " + std::to_string(ranks.rank) + " differ from those of rank " +
                      std::to_string(ranks.other_rank) + " after step " + std::to_string(ranks.step),
                  now);
  }

  JobLifecycle operator()(const RanksFinished& ranks) const {
    if (job.state != v1::JOB_STATE_RUNNING) return job;
    JobLifecycle after = job;
    after.all_ranks_finished = true;
    after.stopped_early = ranks.stopped_early;
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
    if (!after.stopped_early.empty()) reason.append("; ").append(after.stopped_early);
    return moved(std::move(after), v1::JOB_STATE_SUCCEEDED, std::move(reason), now);
  }

  JobLifecycle cancelled(const std::string& unconfirmed_hosts, const std::string& end) const {
    const std::string unreached = "its processes on " + unconfirmed_hosts +
                                  " could not be reached: they end by themselves without the coordinator";
    return moved(job, v1::JOB_STATE_CANCELLED, "cancelled on request; " + (unconfirmed_hosts.empty() ? end : unreached),
                 now);
  }

  JobLifecycle operator()(const LauncherExited& exit) const {
    if (job.launched_by == LaunchedBy::kUser) return job;
    if (job.state == v1::JOB_STATE_CANCELLING) {
      return cancelled(exit.unconfirmed_hosts, "its processes have ended");
    }
    if (!has_attempt(job.state)) return job;
    if (exit.exit_code != 0) return failed(job, v1::FAILURE_KIND_INFRASTRUCTURE, exit_sentence(exit), now);
    if (job.all_ranks_finished) return succeeded(job, exit.world_size);
    return failed(job, v1::FAILURE_KIND_PROGRAM,
                  "mpirun exited with code 0, but " + std::to_string(exit.ranks_finished) + " of " +
                      std::to_string(exit.world_size) + " ranks had finished training",
                  now);
  }

  JobLifecycle operator()(const CancelRequested&) const {
    if (job.state == v1::JOB_STATE_CANCELLING) return job;
    if (has_attempt(job.state)) {
      return moved(job, v1::JOB_STATE_CANCELLING, "cancelled on request; its processes are ending", now);
    }
    return moved(job, v1::JOB_STATE_CANCELLED, "cancelled on request before it started", now);
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
    return failed(job, v1::FAILURE_KIND_INFRASTRUCTURE, how + " while the job was " + state_name(job.state), now);
  }

  JobLifecycle operator()(const CoordinatorStopped&) const { return interrupted("the coordinator was stopped"); }
  JobLifecycle operator()(const CoordinatorRestarted&) const { return interrupted("the coordinator was lost"); }
};

}  // namespace

bool has_attempt(v1::JobState state) { return state == v1::JOB_STATE_STARTING || state == v1::JOB_STATE_RUNNING; }

JobLifecycle next(const JobLifecycle& job, const JobEvent& event, WallTime now) {
  if (is_final(job.state)) return job;
  return std::visit(Transition{.job = job, .now = now}, event);
}

}  // namespace equipoise::coordinator
