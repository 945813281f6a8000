#include "coordinator/job/attempt_supervisor.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "common/config/job_config.h"
#include "common/protocol/job_state.h"
#include "coordinator/job/job_fork.h"
#include "coordinator/job/job_progress.h"
#include "coordinator/job/record_check.h"
#include "coordinator/job/restart_history.h"
#include "coordinator/job/running_time.h"
#include "coordinator/job/step_history.h"

namespace equipoise::coordinator {
namespace {

// Ticks come several times a second: a gap this long means that this process, or the machine, was stopped.
constexpr std::chrono::seconds kLongestTickGap{5};

// Whether a signal that nobody sent on purpose has ended the program: 128 + n, and mpirun has larger codes of its own.
bool is_of_signal(int exit_code) {
  constexpr int kBase = 128, kMost = 64;
  return exit_code > kBase && exit_code <= kBase + kMost && exit_code != kBase + SIGTERM;
}

void leap_revision(v1::TrainingJob& job) { job.set_revision(revision_after_restart(job.revision())); }

}  // namespace

AttemptSupervisor::AttemptSupervisor(SupervisorSettings settings, JobTable& table, OutputFolders& outputs,
                                     Launcher& launcher, RandomSource& random_source)
    : settings_(settings),
      table_(table),
      outputs_(outputs),
      launcher_(launcher),
      random_source_(random_source),
      slots_(settings_.hosts, settings_.most_workers),
      host_watch_(settings_.host_rules) {
  read_cordons();
  find_attempts();
  recover();
}

bool AttemptSupervisor::has_processes(const std::string& job_id) const {
  return std::ranges::any_of(attempts_, [&](const auto& entry) { return entry.first.job_id == job_id; });
}

void AttemptSupervisor::check_fits(int workers) const {
  if (const std::string why = slots_.unschedulable_reason(workers); !why.empty()) throw std::invalid_argument(why);
}

// Job by job: one whose rows are damaged, or share a damaged page, keeps no other from running.
void AttemptSupervisor::recover() {
  for (auto& [sequence, record] : table_.jobs()) {
    try {
      recover(record);
    } catch (const StoreError& error) {
      if (error.cause() != StoreError::Cause::kDamaged) throw;
      table_.set_aside_for_now(record, error.what());
    }
  }
}

void AttemptSupervisor::recover(JobRecord& record) {
  // Where the coordinator was killed between the first checkpoint of its own and what follows from it.
  const bool has_own_start = !record.job.parent_id().empty() && record.job.has_checkpoint_step();
  if (has_own_start && record.config) remove_links(table_.errands(), *record.config);
  if (is_final(record.job.state())) return;
  if (!record.config) table_.apply(record, SpecRefused{.why = record.spec_refusal}, leap_revision);
  const std::string fault =
      record.config ? newest_attempt_fault(table_.store(), *record.config, record.job) : std::string();
  if (!fault.empty()) table_.apply(record, SetAside{.why = fault}, leap_revision);
  // It was wanted before the coordinator was lost, and perhaps nothing has come of it yet.
  const bool may_end = has_processes(record.job.id());
  if (record.desired == DesiredState::kCancel)
    table_.apply(record, CancelRequested{.has_processes = may_end}, leap_revision);
  if (record.desired == DesiredState::kPause)
    table_.apply(record, PauseRequested{.has_processes = may_end}, leap_revision);
  record.lifecycle.resumes =
      record.job.state() == v1::JOB_STATE_PAUSING && record.desired == DesiredState::kRun && !record.unstored;
  record.lifecycle.pause_cause = time_limit_text(record);
  if (record.config) record.lifecycle.failures = failures_on_record(table_.store(), record.job.id());
  if (take_over(record)) return;
  const auto delay = delay_of_ranks_left(record);
  const CoordinatorRestarted restarted{.delay = orphan_delay(),
                                       .was_stopped = was_stopped(table_.store(), record.job.id())};
  const bool has_moved = table_.apply(record, restarted, [&](v1::TrainingJob& job) {
    leap_revision(job);
    if (record.config) read_progress(*record.config, job);
  });
  if (!has_moved && !is_final(record.job.state())) {  // people have seen revisions that were never stored of these too
    v1::TrainingJob job = record.job;
    leap_revision(job);
    table_.replace(record, std::move(job));
  }
  if (!is_final(record.job.state()) && delay.count() > 0) record.restart_at = table_.clock().now() + delay;
  if (!is_final(record.job.state())) {
    outputs_.reacquire(record.job.id(), record.checked_config(), table_.clock().now());
  }
}

// Why a job is PAUSING that was so when the coordinator was lost, where nobody had asked for it.
std::string AttemptSupervisor::time_limit_text(const JobRecord& record) {
  const bool is_pausing = record.job.state() == v1::JOB_STATE_PAUSING;
  const auto limit = record.config ? record.config->launch.time_limit : std::nullopt;
  if (!is_pausing || !limit || running_time(record.job) < *limit) return "";
  return time_limit_sentence(limit->count());
}

// How long ranks of the newest attempt may still run. Where it ended in order, when is on record; of another, nobody
// can say whether its processes had ended with it.
std::chrono::seconds AttemptSupervisor::delay_of_ranks_left(const JobRecord& record) {
  const auto newest = newest_attempt(table_.store(), record.job.id());
  if (!newest) return record.job.generation() > 0 ? orphan_delay() : std::chrono::seconds(0);
  const bool ended_in_order = newest->state == kAttemptStopped || newest->state == kAttemptLeft ||
                              newest->state == state_name(v1::JOB_STATE_PAUSED);
  if (!ended_in_order) return orphan_delay();
  const std::chrono::seconds since(std::chrono::system_clock::to_time_t(table_.clock().wall()) - newest->ended_at);
  return std::clamp(orphan_delay() - since, std::chrono::seconds(0), orphan_delay());
}

// Ranks on this machine end with mpirun, which ends with its coordinator; of others nobody can say.
std::chrono::seconds AttemptSupervisor::orphan_delay() const {
  return settings_.hosts.empty() ? settings_.orphan_grace : settings_.lease.until_ended();
}

// Steps are stored one by one, the job around them is not.
void AttemptSupervisor::read_progress(const JobConfig& config, v1::TrainingJob& job) {
  const auto last = table_.store().last_step(job.id(), job.generation());
  if (!last) return;
  StepHistory history(table_.store(), config, job.id(), job.settings_changes());
  job.set_step(last->request.step() + 1);
  set_weights(job, history.alpha_after(history.whole(*last)));
}

void AttemptSupervisor::tick() {
  const SteadyTime now = table_.clock().now();
  renew_leases_after_pause(now);
  table_.store_unstored();
  check_ranks(now);
  count_running_time(now);
  settle_unconfirmed(now);
  settle_pauses();
  watch_hosts(now);
  check_leaving(now);
  schedule_restarts(now);
  if (!is_shutting_down_ && !are_launches_held_ && !table_.is_held()) launch_queued(now);
  schedule_termination(now);
  terminate_due(now);
  release_outputs();
  show_metrics(now);
}

void AttemptSupervisor::show_metrics(SteadyTime now) {
  constexpr std::chrono::seconds kInterval{1};
  if (metrics_shown_ && now - *metrics_shown_ < kInterval) return;
  metrics_shown_ = now;
  table_.show_time();
  if (slots_.total() > 0) table_.metrics().show_slots(slots_.counts());
}

void AttemptSupervisor::renew_leases_after_pause(SteadyTime now) {
  const auto gap = last_tick_ ? now - *last_tick_ : SteadyTime::duration::zero();
  last_tick_ = now;
  if (gap <= kLongestTickGap) return;
  for (auto& [sequence, record] : table_.jobs()) {
    if (record.members) record.members->renew_leases(gap);
    record.step_times.interrupt();
    if (record.register_by) *record.register_by += gap;
    if (record.back_by) *record.back_by += gap;
    if (record.leave_by) *record.leave_by += gap;
  }
}

void AttemptSupervisor::check_ranks(SteadyTime now) {
  for (auto& [sequence, record] : table_.jobs()) {
    if (record.members && !is_final(record.intended().state)) check_ranks(record, now);
  }
}

void AttemptSupervisor::check_ranks(JobRecord& record, SteadyTime now) {
  check_start(record, now);
  if (record.intended().state == v1::JOB_STATE_CANCELLING && record.members->none_running(now)) {
    table_.settle(record, RanksLeft{.unconfirmed_hosts = unconfirmed_hosts(*record.members, record.hosts)});
  }
  const auto silent = record.members->first_silent(now);
  if (!silent) return check_progress(record, now);
  const JobLifecycle& job = record.intended();
  if (has_attempt(job.state) && !job.left_at_step) {
    note_host_failures({.job_id = record.job.id(), .generation = record.job.generation()},
                       {host_of_rank(record.hosts, silent->rank)});
  }
  table_.settle(record,
                RankSilent{.rank = silent->rank, .host = silent->host, .seconds = settings_.lease.lease.count()});
}

void AttemptSupervisor::check_start(JobRecord& record, SteadyTime now) {
  if (record.back_by && record.members->all_registered()) record.back_by.reset();
  if (record.back_by && now > *record.back_by) {
    table_.settle(record,
                  RanksNotBack{.text = absent_ranks_text(*record.members, record.hosts, settings_.lease.lease)});
    record.back_by.reset();
  }
  if (!record.register_by) return;
  if (record.members->all_registered()) {
    record.register_by.reset();
  } else if (now > *record.register_by) {
    std::set<std::string> missing;
    for (const int rank : record.members->missing()) missing.insert(host_of_rank(record.hosts, rank));
    note_host_failures({.job_id = record.job.id(), .generation = record.job.generation()},
                       {missing.begin(), missing.end()});
    table_.settle(record,
                  RanksMissing{.text = missing_ranks_text(*record.members, record.hosts, record.start_timeout)});
    record.register_by.reset();
  }
}

namespace {

// Ten of the job's own steps. The first step of an attempt is not like the others: devices and connections are made
// ready with it.
PhaseDeadlines deadlines_of(const JobRecord& record, PhaseDeadlines deadlines) {
  constexpr int kSteps = 10;
  const bool has_stepped = record.training && record.training->weights.next_step() > record.training->plan.first_step;
  if (!has_stepped || record.step_times.empty()) deadlines.training = std::max(deadlines.training, deadlines.computing);
  if (record.step_times.empty()) return deadlines;
  const auto of_steps = std::chrono::ceil<std::chrono::seconds>(kSteps * record.step_times.p99());
  deadlines.training = std::max(deadlines.training, of_steps);
  return deadlines;
}

}  // namespace

// A rank that is heard of, and does not go on.
void AttemptSupervisor::check_progress(JobRecord& record, SteadyTime now) {
  const v1::JobState state = record.intended().state;
  const bool has_ranks = has_attempt(state) || state == v1::JOB_STATE_PAUSING;
  table_.metrics().show_stall(record.job.id(),
                              has_ranks ? record.members->longest_stall(now) : SteadyTime::duration::zero());
  table_.metrics().show_ranks(record.job.id(), has_ranks ? record.members->activity(now) : RankActivity{});
  if (!has_ranks) return;
  if (table_.is_held()) {  // rank 0 waits for the disk, and the others for it
    record.step_times.interrupt();
    return record.members->renew_progress(now);
  }
  auto stalled = record.members->first_stalled(now, deadlines_of(record, settings_.deadlines));
  if (!stalled) return;
  // All ranks do the same steps, and rank 0 reports them as they come.
  stalled->report.step = std::max(stalled->report.step, record.job.step());
  table_.settle(record, RankStalled{.rank = stalled->rank, .text = stall_text(*stalled)});
}

// How long the processes of an attempt may still run by themselves; nullopt: as long as they want.
std::optional<std::chrono::seconds> AttemptSupervisor::grace_of(const AttemptKey& key, bool has_hosts) {
  if (is_shutting_down_ || !table_.contains(key.job_id)) return std::chrono::seconds(0);
  const JobRecord& record = table_.find(key.job_id);
  const JobLifecycle& job = record.intended();
  if (job.state == v1::JOB_STATE_CANCELLING) {
    return has_hosts ? settings_.hosts_grace : std::chrono::seconds(0);
  }
  const bool awaits_ranks = job.state == v1::JOB_STATE_PAUSING && !job.ends_processes;
  if (!has_attempt(job.state) && !awaits_ranks) return has_hosts ? settings_.hosts_grace : settings_.failed_grace;
  if (job.all_ranks_finished || job.left_at_step) return settings_.finished_grace;
  return std::nullopt;
}

void AttemptSupervisor::schedule_termination(SteadyTime now) {
  for (auto& [key, attempt] : attempts_) {
    const auto grace = attempt.exit ? std::nullopt : grace_of(key, !attempt.hosts.empty());
    if (!grace) continue;
    const SteadyTime terminate_at = now + *grace;
    if (attempt.terminate_at && *attempt.terminate_at <= terminate_at) continue;
    attempt.terminate_at = terminate_at;
  }
}

void AttemptSupervisor::terminate_due(SteadyTime now) {
  for (auto& [key, attempt] : attempts_) {
    if (attempt.exit || !attempt.terminate_at || now < *attempt.terminate_at) continue;
    if (!attempt.kill_at) {
      spdlog::info("job {}: asking the processes of attempt {} to end", key.job_id, key.generation);
      launcher_.terminate(key);
      attempt.kill_at = now + settings_.terminate_grace;
    } else if (now >= *attempt.kill_at) {
      spdlog::warn("job {}: killing the processes of attempt {}", key.job_id, key.generation);
      launcher_.kill(key);
      attempt.was_killed = true;
      attempt.kill_at = now + settings_.terminate_grace;
    }
  }
}

// A job that has succeeded has written all; of another one the processes may still write.
void AttemptSupervisor::release_outputs() {
  for (const std::string& id : outputs_.jobs()) {
    const bool is_known = table_.contains(id);
    if (is_known && !is_final(table_.find(id).job.state())) continue;
    const bool is_whole = is_known && table_.find(id).job.state() == v1::JOB_STATE_SUCCEEDED;
    if (is_whole || !has_processes(id)) outputs_.release(id);
  }
}

void AttemptSupervisor::handle_exit(const LaunchExit& exit) {
  if (take_answer(exit) || settle_refused_start(exit)) return;
  const auto attempt = attempts_.find(exit.attempt);
  // A launcher that has died, or that had lost a host, cannot have ended the ranks there. Of a rank that a signal has
  // ended it would have told.
  const bool has_died = is_of_signal(exit.exit_code) && !exit.first_end;
  const bool is_unconfirmed = attempt != attempts_.end() && exit.refusal.empty() && !attempt->second.hosts.empty() &&
                              (attempt->second.was_killed || has_died || exit.lost_contact);
  if (exit.lost_contact) note_lost_contact(exit);
  if (!is_unconfirmed) {
    if (attempt != attempts_.end() && exit.exit_code == 0) {
      for (const HostSlots& host : attempt->second.hosts) host_watch_.note_success(host.name);
    }
    if (attempt != attempts_.end()) suspect_processes(exit.attempt, attempt->second);
    end_job(exit, "", false);
    return remove_attempt(exit.attempt);
  }
  const bool is_known = table_.contains(exit.attempt.job_id);
  const bool may_wait = is_known && table_.find(exit.attempt.job_id).intended().state == v1::JOB_STATE_CANCELLING;
  if (!may_wait) end_job(exit, "", true);
  if (is_known) await_hosts(table_.find(exit.attempt.job_id), attempt->second);
  attempt->second.exit = exit;
  attempt->second.unconfirmed_until = table_.clock().now() + settings_.lease.until_ended();
}

// False: it is none, or somebody has ended the attempt meanwhile.
bool AttemptSupervisor::settle_refused_start(const LaunchExit& exit) {
  if (exit.refusal.empty() || !attempts_.contains(exit.attempt) || !table_.contains(exit.attempt.job_id)) return false;
  JobRecord& record = table_.find(exit.attempt.job_id);
  const bool is_newest = record.job.generation() == exit.attempt.generation;
  if (!is_newest || !has_attempt(record.intended().state)) return false;
  remove_attempt(exit.attempt);
  table_.settle(record, LaunchRefused{.why = exit.refusal, .was_interrupted = exit.was_interrupted});
  return true;
}

void AttemptSupervisor::await_hosts(JobRecord& record, const LiveAttempt& attempt) {
  const std::string silent = record.members ? unconfirmed_hosts(*record.members, attempt.hosts) : "";
  table_.settle(record, HostsAwaited{.hosts = silent.empty() ? host_names(attempt.hosts) : silent});
}

void AttemptSupervisor::settle_unconfirmed(SteadyTime now) {
  std::vector<AttemptKey> settled;
  for (auto& [key, attempt] : attempts_) {
    if (!attempt.exit) continue;
    const bool is_known = table_.contains(key.job_id) && table_.find(key.job_id).job.generation() == key.generation;
    JobRecord* const record = is_known ? &table_.find(key.job_id) : nullptr;
    const bool all_have_exited = record != nullptr && record->members && record->members->all_registered() &&
                                 record->members->unconfirmed().empty() && record->members->none_running(now);
    if (!all_have_exited && now < attempt.unconfirmed_until && !is_shutting_down_) continue;
    if (record != nullptr) end_unconfirmed(*record, attempt);
    suspect_hosts(record, attempt);
    settled.push_back(key);
  }
  for (const AttemptKey& key : settled) remove_attempt(key);
}

void AttemptSupervisor::end_unconfirmed(JobRecord& record, const LiveAttempt& attempt) {
  // Of an attempt that was found and not taken over, as its job was RECOVERING, nobody knows the ranks.
  const std::string hosts =
      record.members ? unconfirmed_hosts(*record.members, attempt.hosts) : host_names(attempt.hosts);
  const v1::JobState state = record.intended().state;
  if (state == v1::JOB_STATE_CANCELLING) return end_job(*attempt.exit, hosts, false);
  if (hosts.empty() || !record.members) return;
  const std::string sentence = "the end of its processes on " + hosts +
                               " could not be confirmed: they end by themselves without the coordinator, and hosts are "
                               "used again once they answer";
  table_.note(record, [sentence](v1::TrainingJob& job) { add_condition(job, sentence); });
}

// Of jobs that wait for nothing but the end of their processes.
void AttemptSupervisor::settle_pauses() {
  for (auto& [sequence, record] : table_.jobs()) {
    const bool is_pausing = record.intended().state == v1::JOB_STATE_PAUSING;
    if (is_pausing && !has_processes(record.job.id())) table_.settle(record, ProcessesEnded{});
  }
}

void AttemptSupervisor::end_job(const LaunchExit& exit, const std::string& unconfirmed_hosts, bool leaves_processes) {
  if (!table_.contains(exit.attempt.job_id)) return;
  JobRecord& record = table_.find(exit.attempt.job_id);
  if (record.job.generation() != exit.attempt.generation) return;
  const RankCounts counts = record.members ? record.members->counts() : RankCounts{};
  // Open MPI does not always say which host or network has failed.
  const bool names_a_host = std::ranges::any_of(
      record.hosts, [&](const HostSlots& host) { return exit.last_line.find(host.name) != std::string::npos; });
  const bool wants_hosts = has_attempt(record.intended().state) && record.hosts.size() > 1 && !names_a_host;
  const auto attempt = attempts_.find(exit.attempt);
  const bool was_asked_to_end = attempt != attempts_.end() && attempt->second.kill_at.has_value();
  const auto first_end = was_asked_to_end ? std::nullopt : exit.first_end;
  table_.settle(
      record, LauncherExited{.exit_code = exit.exit_code,
                             .last_line = exit.last_line + (wants_hosts ? "; hosts: " + host_names(record.hosts) : ""),
                             .ranks_finished = counts.finished,
                             .world_size = record.job.world_size(),
                             .unconfirmed_hosts = unconfirmed_hosts,
                             .leaves_processes = leaves_processes,
                             .lost_contact = exit.lost_contact,
                             .was_asked_to_end = was_asked_to_end,
                             .rank = first_end ? std::optional(first_end->rank) : std::nullopt,
                             .signal = first_end ? first_end->signal : std::nullopt,
                             .rank_exit_code = first_end ? first_end->exit_code : std::nullopt,
                             .was_taken_over = record.is_taken_over,
                             .was_away = exit.was_away});
  table_.add_end_of_failure(record, exit, was_asked_to_end);
  table_.metrics().show_workers(record.job.id(), {.active = 0, .finished = counts.finished});
}

void AttemptSupervisor::remove_attempt(const AttemptKey& key) {
  const auto attempt = attempts_.find(key);
  if (attempt == attempts_.end()) return;
  slots_.release(attempt->second.hosts);
  attempts_.erase(attempt);
  // Else the next coordinator is to be told again.
  const bool is_stored = !table_.contains(key.job_id) || !table_.find(key.job_id).unstored;
  if (is_stored) launcher_.forget(key);
}

void AttemptSupervisor::begin_leaving() {
  is_leaving_ = true;
  hold_launches();
  for (auto& [sequence, record] : table_.jobs()) {
    const v1::JobState state = record.intended().state;
    if (state == v1::JOB_STATE_STARTING) table_.settle(record, CoordinatorStopped{.for_good = settings_.is_last});
    if (state == v1::JOB_STATE_RUNNING) record.must_leave = true;
    table_.settle(record, CoordinatorStopping{.for_good = settings_.is_last});
  }
  tick();
}

bool AttemptSupervisor::are_leaving() {
  return std::ranges::any_of(table_.jobs(), [](const auto& entry) {
    const JobLifecycle& job = entry.second.intended();
    const bool is_leaving = job.state == v1::JOB_STATE_RUNNING && entry.second.must_leave;
    return is_leaving || (job.state == v1::JOB_STATE_PAUSING && !job.ends_processes);
  });
}

void AttemptSupervisor::begin_shutdown() {
  is_shutting_down_ = true;
  for (auto& [sequence, record] : table_.jobs()) {
    // A job that is being cancelled ends with its processes, as always; if they are the user's, nobody waits for them.
    const bool ends_with_processes = attempts_.contains({record.job.id(), record.job.generation()}) &&
                                     record.intended().state == v1::JOB_STATE_CANCELLING;
    if (!ends_with_processes) table_.settle(record, CoordinatorStopped{.for_good = settings_.is_last});
  }
  tick();
}

}  // namespace equipoise::coordinator
