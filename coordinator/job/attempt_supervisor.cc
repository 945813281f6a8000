#include "coordinator/job/attempt_supervisor.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "common/config/job_config.h"
#include "coordinator/job/job_progress.h"
#include "coordinator/job/training.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kTokenBytes = 32;
// Ticks come several times a second: a gap this long means that this process, or the machine, was stopped.
constexpr std::chrono::seconds kLongestTickGap{5};
// Watchers may have seen revisions that were never stored: none of them may come again.
constexpr std::int64_t kRevisionLeap = 1'000'000;

// What is wrong with a spec; empty: nothing.
std::string complaint(const v1::JobSpec& spec) {
  try {
    make_job_config(spec);
    return "";
  } catch (const std::invalid_argument& wrong) {
    return wrong.what();
  }
}

bool has_attempt(const JobRecord& record) {
  return record.job.state() == v1::JOB_STATE_STARTING || record.job.state() == v1::JOB_STATE_RUNNING;
}

}  // namespace

AttemptSupervisor::AttemptSupervisor(SupervisorSettings settings, JobTable& table, OutputFolders& outputs,
                                     Launcher& launcher, Entropy& entropy)
    : settings_(settings), table_(table), outputs_(outputs), launcher_(launcher), entropy_(entropy) {
  recover();
}

void AttemptSupervisor::recover() {
  for (auto& [sequence, record] : table_.jobs()) {
    if (is_final(record.job.state())) continue;
    if (const std::string why = complaint(record.job.spec()); !why.empty()) {
      table_.apply(record, SpecRefused{.why = why});
    }
    table_.apply(record, CoordinatorRestarted{}, [&](v1::TrainingJob& job) {
      job.set_revision(job.revision() + kRevisionLeap);
      read_progress(job);
    });
    if (!is_final(record.job.state())) outputs_.take_again(record.job);
  }
}

// Steps are stored one by one, the job around them is not.
void AttemptSupervisor::read_progress(v1::TrainingJob& job) {
  const auto last = table_.store().last_step(job.id(), job.generation());
  const auto training = table_.store().training(job.id(), job.generation());
  if (!last || !training || !complaint(job.spec()).empty()) return;
  job.set_step(last->request.step() + 1);
  set_weights(job, weight_owner_for(job.spec(), training->request).alpha_at(last->log_alpha_K));
}

void AttemptSupervisor::tick() {
  const SteadyTime now = table_.clock().now();
  forgive_pause(now);
  check_ranks(now);
  if (!is_shutting_down_) launch_queued();
  schedule_ends(now);
  end_due(now);
  give_back_outputs();
}

void AttemptSupervisor::forgive_pause(SteadyTime now) {
  const auto gap = last_tick_ ? now - *last_tick_ : SteadyTime::duration::zero();
  last_tick_ = now;
  if (gap <= kLongestTickGap) return;
  for (auto& [sequence, record] : table_.jobs()) {
    if (record.members) record.members->forgive(gap);
  }
}

void AttemptSupervisor::check_ranks(SteadyTime now) {
  for (auto& [sequence, record] : table_.jobs()) {
    if (!record.members || is_final(record.job.state())) continue;
    if (record.job.state() == v1::JOB_STATE_CANCELLING && record.members->all_gone(now)) {
      table_.apply(record, RanksLeft{});
    }
    const auto silent = record.members->first_silent(now);
    if (!silent) continue;
    table_.apply(record,
                 RankSilent{.rank = silent->rank, .host = silent->host, .seconds = settings_.lease.lease.count()});
  }
}

void AttemptSupervisor::launch_queued() {
  for (auto& [sequence, record] : table_.jobs()) {
    if (attempts_.size() >= static_cast<std::size_t>(settings_.max_running_jobs)) return;
    if (record.job.state() != v1::JOB_STATE_QUEUED || record.lifecycle.launched_by != LaunchedBy::kCoordinator)
      continue;
    launch(record);
  }
}

void AttemptSupervisor::launch(JobRecord& record) {
  const int workers = make_job_config(record.job.spec()).launch.workers.value_or(1);
  const AttemptKey key{.job_id = record.job.id(), .generation = record.job.generation() + 1};
  std::string token = entropy_.hex(kTokenBytes);
  // On disk before there is a process: a crash in between never uses the generation twice.
  table_.apply(record, AttemptLaunched{.generation = key.generation}, [&](v1::TrainingJob& job) {
    job.set_generation(key.generation);
    job.set_world_size(workers);
    job.set_phase("starting");
  });
  record.members.emplace(workers, settings_.lease);
  record.attempt_token = std::move(token);
  if (key.generation > 1) table_.metrics().count_restart(key.job_id);
  try {
    launcher_.start({.attempt = key, .workers = workers, .token = record.attempt_token});
    attempts_.emplace(key, LiveAttempt{});
  } catch (const PeerError& error) {
    table_.apply(record, LaunchRefused{.why = error.what()});
  }
}

// How long the processes of an attempt may still run by themselves; nullopt: as long as they want.
std::optional<std::chrono::seconds> AttemptSupervisor::grace_of(const AttemptKey& key) {
  if (is_shutting_down_ || !table_.contains(key.job_id)) return std::chrono::seconds(0);
  const JobRecord& record = table_.find(key.job_id);
  if (record.job.state() == v1::JOB_STATE_CANCELLING) return std::chrono::seconds(0);
  if (!has_attempt(record)) return settings_.failed_grace;
  if (record.lifecycle.all_ranks_finished) return settings_.finished_grace;
  return std::nullopt;
}

void AttemptSupervisor::schedule_ends(SteadyTime now) {
  for (auto& [key, attempt] : attempts_) {
    const auto grace = grace_of(key);
    if (!grace) continue;
    const SteadyTime terminate_at = now + *grace;
    if (attempt.terminate_at && *attempt.terminate_at <= terminate_at) continue;
    attempt.terminate_at = terminate_at;
  }
}

void AttemptSupervisor::end_due(SteadyTime now) {
  for (auto& [key, attempt] : attempts_) {
    if (!attempt.terminate_at || now < *attempt.terminate_at) continue;
    if (!attempt.kill_at) {
      spdlog::info("job {}: asking the processes of attempt {} to end", key.job_id, key.generation);
      launcher_.terminate(key);
      attempt.kill_at = now + settings_.terminate_grace;
    } else if (now >= *attempt.kill_at) {
      spdlog::warn("job {}: killing the processes of attempt {}", key.job_id, key.generation);
      launcher_.kill(key);
      attempt.kill_at = now + settings_.terminate_grace;
    }
  }
}

// A job that has succeeded has written all; of another one the processes may still write.
void AttemptSupervisor::give_back_outputs() {
  for (const std::string& id : outputs_.jobs()) {
    const bool is_known = table_.contains(id);
    if (is_known && !is_final(table_.find(id).job.state())) continue;
    const bool is_whole = is_known && table_.find(id).job.state() == v1::JOB_STATE_SUCCEEDED;
    const bool is_written = std::ranges::any_of(attempts_, [&](const auto& entry) { return entry.first.job_id == id; });
    if (is_whole || !is_written) outputs_.give_back(id);
  }
}

void AttemptSupervisor::exited(const LaunchExit& exit) {
  if (table_.contains(exit.attempt.job_id)) {
    JobRecord& record = table_.find(exit.attempt.job_id);
    const RankCounts counts = record.members ? record.members->counts() : RankCounts{};
    if (record.job.generation() == exit.attempt.generation) {
      table_.apply(record, LauncherExited{.exit_code = exit.exit_code,
                                          .last_line = exit.last_line,
                                          .ranks_finished = counts.finished,
                                          .world_size = record.job.world_size()});
      table_.metrics().show_workers(record.job.id(), {.active = 0, .finished = counts.finished});
    }
  }
  attempts_.erase(exit.attempt);
}

void AttemptSupervisor::begin_shutdown() {
  is_shutting_down_ = true;
  for (auto& [sequence, record] : table_.jobs()) {
    // A job that is being cancelled ends with its processes, as always; if they are the user's, nobody waits for them.
    const bool ends_with_processes = attempts_.contains({record.job.id(), record.job.generation()}) &&
                                     record.job.state() == v1::JOB_STATE_CANCELLING;
    if (!ends_with_processes) table_.apply(record, CoordinatorStopped{});
  }
  tick();
}

}  // namespace equipoise::coordinator
