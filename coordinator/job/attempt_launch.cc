// How attempts start: the first of a queued job, and the next of one whose attempt has failed.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <utility>

#include "common/base/message_text.h"
#include "common/config/job_config.h"
#include "common/protocol/job_state.h"
#include "coordinator/job/attempt_supervisor.h"
#include "coordinator/job/attempt_tokens.h"
#include "coordinator/job/job_progress.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kLongestLauncher = 512;
constexpr std::chrono::seconds kOutputInterval{1};  // between two looks at a folder that is not free

}  // namespace

// Jobs whose processes have ended, from then on.
void AttemptSupervisor::schedule_restarts(SteadyTime now) {
  for (auto& [sequence, record] : table_.jobs()) {
    const bool is_recovering = record.intended().state == v1::JOB_STATE_RECOVERING;
    if (!is_recovering || record.restart_at || has_processes(record.job.id())) continue;
    const JobLifecycle& job = record.intended();
    record.restart_at =
        now + drawn_delay(job.restart_cause == RestartCause::kPreemption ? preemption_delay(job.failures)
                                                                         : restart_delay(job.failures));
  }
}

// From the upper half of `delay`, so that many jobs that have lost the same host do not start at once.
SteadyTime::duration AttemptSupervisor::drawn_delay(std::chrono::seconds delay) {
  constexpr std::size_t kBytes = 4;
  constexpr double kHighest = 4294967296.0;  // 256^kBytes
  const double drawn = static_cast<double>(std::stoull(random_source_.hex(kBytes), nullptr, 16)) / kHighest;
  return std::chrono::duration_cast<SteadyTime::duration>(std::chrono::duration<double>(delay) * (0.5 + 0.5 * drawn));
}

// The job before all others first: a large one that waits for slots is not overtaken by small ones for ever, and one
// that is about to start again keeps its place.
void AttemptSupervisor::launch_queued(SteadyTime now) {
  Room kept;
  for (JobRecord* const waiting : waiting_jobs()) {
    JobRecord& record = *waiting;
    const bool is_recovering = record.intended().state == v1::JOB_STATE_RECOVERING;
    const bool is_too_early = record.restart_at ? now < *record.restart_at : is_recovering;
    const int workers = record.checked_config().launch.most_ranks();
    if (is_too_early || (is_recovering && record.unstored)) {
      ++kept.places;
      kept.slots += workers;
      continue;
    }
    try {
      if (static_cast<int>(attempts_.size()) + kept.places >= settings_.max_running_jobs) {
        // Nobody makes room for a job that could not start. Its reason stays, as it waits for a place first.
        if (host_watch_.unused().contains(settings_.this_machine)) return;
        const bool is_made = make_room(record, {.places = 1, .slots = workers}, kept, now);
        const int fewest = record.checked_config().launch.fewest_ranks();
        const bool may_be_fewer = record.job.generation() > 0 && fewest < workers;
        if (!is_made && may_be_fewer) make_room(record, {.places = 1, .slots = fewest}, kept, now);
        return;
      }
      if (!launch_if_it_fits(record, kept, now)) return;
    } catch (const StoreError& failure) {  // nothing of it has begun
      table_.note_failure(failure);
      if (failure.cause() == StoreError::Cause::kDamaged) table_.set_aside_for_now(record, failure.what());
    }
  }
}

// False: it waits for slots.
bool AttemptSupervisor::launch_if_it_fits(JobRecord& record, Room& kept, SteadyTime now) {
  const LaunchConfig& config = record.checked_config().launch;
  const bool counts_slots = slots_.total() > 0;
  // Once it has begun, a job goes on with fewer ranks where hosts are gone.
  const bool may_be_fewer = counts_slots && record.job.generation() > 0;
  const int most = config.most_ranks(), fewest = may_be_fewer ? config.fewest_ranks() : most;
  if (const std::string why = slots_.unschedulable_reason(fewest); !why.empty()) {
    table_.settle(record, SpecRefused{.why = why});
    return true;
  }
  // When this coordinator started, ranks of the one before may have had the folder yet.
  if (!outputs_.holds(record.job.id())) {
    if (const auto why = outputs_.reacquire(record.job.id(), record.checked_config(), now)) {
      if (!why->empty()) {
        await_output(record, *why, now);
        return true;
      }
      ++kept.places;  // its file system is asked: a later tick knows more
      kept.slots += most;
      return true;
    }
  }
  if (!may_use_this_machine(record)) return false;
  const int free = slots_.free() - kept.slots;
  const bool fits = !counts_slots || free >= most;
  if (!fits && make_room(record, {.places = 1, .slots = most}, kept, now)) return false;
  const bool fits_with_fewer = free >= fewest && !host_watch_.awaits_first_answers();
  if (!fits && !fits_with_fewer) {
    if (fewest < most && make_room(record, {.places = 1, .slots = fewest}, kept, now)) return false;
    table_.apply(record, SlotsAwaited{.wanted = fewest,
                                      .free = std::max(free, 0),
                                      .total = slots_.total(),
                                      .unused_hosts = host_watch_.unused_text()});
    return false;
  }
  const int workers = fits ? most : free;
  record.register_by = now + config.start_timeout + settings_.register_grace;
  launch(record, workers, slots_.allocate(workers).value());
  if (workers < most) tell_of_fewer_ranks(record, workers, most);
  return true;
}

bool AttemptSupervisor::may_use_this_machine(JobRecord& record) {
  const std::string& machine = settings_.this_machine;
  if (machine.empty() || !host_watch_.unused().contains(machine)) return true;
  if (!host_watch_.awaits_first_answers()) table_.apply(record, MachineAwaited{.why = host_watch_.unused_text()});
  return false;
}

void AttemptSupervisor::tell_of_fewer_ranks(JobRecord& record, int workers, int most) {
  const std::string unused = host_watch_.unused_text();
  const std::string sentence = "attempt " + std::to_string(record.job.generation()) + " has " +
                               std::to_string(workers) + " of " + std::to_string(most) +
                               " ranks, as no more slots are free" + (unused.empty() ? "" : "; not used: " + unused) +
                               "; it has more at its next start, where there is room";
  table_.note(record, [sentence](v1::TrainingJob& job) { add_condition(job, sentence); });
}

// Two attempts in one folder would destroy each other's checkpoints.
void AttemptSupervisor::await_output(JobRecord& record, const std::string& why, SteadyTime now) {
  record.restart_at = now + kOutputInterval;
  const std::string sentence = "waits to start until its output folder is free: " + why;
  if (has_condition(record.job, sentence) || !record.unshown.empty()) return;
  spdlog::warn("job {}: {}", record.job.id(), sentence);
  table_.note(record, [sentence](v1::TrainingJob& job) { add_condition(job, sentence); });
}

void AttemptSupervisor::launch(JobRecord& record, int workers, std::vector<HostSlots> hosts) {
  const LaunchConfig& config = record.checked_config().launch;
  const AttemptKey key{.job_id = record.job.id(), .generation = record.job.generation() + 1};
  std::string token = random_source_.hex(kTokenBytes);
  const std::string digest = token_digest(token);
  // Taken until remove_attempt(), whatever happens below.
  attempts_.emplace(key, LiveAttempt{.hosts = hosts});
  // And was not paused by people.
  const bool is_restart = record.intended().state == v1::JOB_STATE_RECOVERING || !record.intended().preemption.empty();
  try {
    // On disk before there is a process: a crash in between never uses the generation twice.
    const auto edit = [&](v1::TrainingJob& job) {
      job.set_generation(key.generation);
      job.set_world_size(workers);
      job.set_phase("starting");
      renew_requests(job);
      if (is_restart) job.set_restarts(job.restarts() + 1);
    };
    const auto save = [&](const v1::TrainingJob& job) {
      table_.store().begin_attempt(job, {.generation = key.generation,
                                         .token_hash = digest,
                                         .state = state_name(job.state()),
                                         .started_at = std::chrono::system_clock::to_time_t(table_.clock().wall()),
                                         .launcher = one_line(settings_.launcher, kLongestLauncher),
                                         .hosts = host_names(hosts),
                                         .placement = hostfile_text(hosts)});
    };
    table_.apply(record, AttemptLaunched{.generation = key.generation}, edit, save);
  } catch (...) {
    remove_attempt(key);
    throw;
  }
  record.training.reset();
  record.step_times.interrupt();
  record.restart_at.reset();
  record.must_leave = false;
  record.waits_for_room = false;
  record.leave_by.reset();
  record.members.emplace(workers, settings_.lease);
  record.attempt_token = std::move(token);
  record.attempt_token_hash.clear();
  table_.attempt_tokens().set_digest(key.job_id, digest);
  record.is_taken_over = false;
  record.back_by.reset();
  record.hosts = hosts;
  record.start_timeout = config.start_timeout;
  if (is_restart) table_.metrics().count_restart(key.job_id, record.lifecycle.restart_cause);
  try {
    launcher_.start({.attempt = key,
                     .workers = workers,
                     .token = record.attempt_token,
                     .hosts = std::move(hosts),
                     .start_timeout = config.start_timeout,
                     .mpi_options = config.mpi_options,
                     .environment = config.environment});
  } catch (const std::exception& error) {  // whatever it is: there are no processes, and nobody will say that they end
    remove_attempt(key);
    table_.settle(record, LaunchRefused{.why = error.what()});
  }
}

}  // namespace equipoise::coordinator
