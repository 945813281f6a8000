// Attempts that an earlier coordinator has left behind: their processes go on under this one.
#include <spdlog/spdlog.h>

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/config/job_config.h"
#include "common/protocol/job_state.h"
#include "coordinator/job/attempt_supervisor.h"
#include "coordinator/job/job_progress.h"
#include "coordinator/job/running_time.h"
#include "coordinator/job/state_check.h"
#include "coordinator/job/step_history.h"

namespace equipoise::coordinator {
namespace {

std::optional<StoredAttempt> attempt_on_record(JobStore& store, const AttemptKey& key) {
  for (StoredAttempt& attempt : store.attempts(key.job_id)) {
    if (attempt.generation == key.generation) return std::move(attempt);
  }
  return std::nullopt;
}

std::vector<HostSlots> hosts_of(const StoredAttempt& attempt) {
  const std::string& placement = attempt.placement ? *attempt.placement : attempt.launcher;
  if (placement.empty()) return {};
  return parse_hostfile("the hosts of attempt " + std::to_string(attempt.generation), placement);
}

// With the weights after the newest step on record.
std::optional<Training> training_on_record(JobStore& store, const JobConfig& config, const v1::TrainingJob& job) {
  auto stored = store.training(job.id(), job.generation());
  if (!stored) return std::nullopt;
  Training training = begin_training(config, stored->request, job.world_size(), job.settings_changes());
  training.stored = std::move(*stored);
  if (const auto last = store.last_step(job.id(), job.generation())) {
    StepHistory history(store, config, job.id(), job.settings_changes());
    training.weights.restore(history.weights_after(job.generation(), last->request.step() + 1));
  }
  return training;
}

}  // namespace

// Also of jobs that are over or gone: what is left of them is ended.
void AttemptSupervisor::find_attempts() {
  for (const AttemptKey& key : launcher_.find()) {
    if (is_question(key)) continue;  // its answer is taken when it comes
    LiveAttempt attempt{.hosts = {}, .was_found = true};
    try {
      const auto stored = attempt_on_record(table_.store(), key);
      if (stored) attempt.hosts = slots_.take(hosts_of(*stored));
    } catch (const std::exception& error) {  // its job will be set aside, and the attempt ended
      spdlog::warn("job {}: {}", key.job_id, error.what());
    }
    attempts_.emplace(key, std::move(attempt));
  }
}

bool AttemptSupervisor::take_over(JobRecord& record) {
  const v1::JobState state = record.intended().state;
  // Nobody waits for the end of what a user has started: it is told so when it calls.
  const bool is_of_user = record.lifecycle.launched_by == LaunchedBy::kUser;
  const bool is_ending = state == v1::JOB_STATE_CANCELLING && !is_of_user;
  const bool may_go_on = has_attempt(state) || state == v1::JOB_STATE_PAUSING || is_ending;
  const bool is_found =
      is_of_user || attempts_.contains({.job_id = record.job.id(), .generation = record.job.generation()});
  if (!may_go_on || !is_found || !record.config) return false;
  try {
    restore_attempt(record);
  } catch (const StoreError&) {
    throw;
  } catch (const std::exception& error) {  // whatever it is: the job goes on from its newest checkpoint
    spdlog::warn("job {}: attempt {} cannot be taken over: {}", record.job.id(), record.job.generation(), error.what());
    record.is_taken_over = false;
    record.members.reset();
    record.training.reset();
    return false;
  }
  show_taken_over(record);
  if (is_of_user) settle_ends_on_record(record);
  return true;
}

// No exit of an mpirun follows: the last rank had said its last, and what follows from that was not stored any more.
void AttemptSupervisor::settle_ends_on_record(JobRecord& record) {
  const JobLifecycle& job = record.intended();
  if (job.all_ranks_finished) {
    table_.settle(record, RanksFinished{.world_size = record.members->world_size(), .ending = job.ending});
  } else if (job.left_at_step) {
    table_.settle(record, RanksPaused{.step = *job.left_at_step});
  }
}

void AttemptSupervisor::restore_attempt(JobRecord& record) {
  const AttemptKey key{.job_id = record.job.id(), .generation = record.job.generation()};
  const auto attempt = attempt_on_record(table_.store(), key);
  const v1::JobState state = record.intended().state;
  if (!attempt || record.job.world_size() < 1) throw std::runtime_error("it is not on record");
  auto training = training_on_record(table_.store(), *record.config, record.job);
  if (!training && state == v1::JOB_STATE_RUNNING) throw std::runtime_error("its training is not on record");
  // Of an earlier version of the program: ranks that register could be those of another mpirun.
  const bool knows_ranks = record.lifecycle.launched_by == LaunchedBy::kCoordinator || !attempt->token_hash.empty();
  if (!training && !knows_ranks) throw std::runtime_error("who its ranks are is not on record");
  record.hosts = hosts_of(*attempt);
  record.start_timeout = record.config->launch.start_timeout;
  record.attempt_token_hash = attempt->token_hash;
  if (record.lifecycle.launched_by == LaunchedBy::kCoordinator) {
    table_.attempt_tokens().set_digest(key.job_id, attempt->token_hash);
  }
  record.is_taken_over = true;
  record.members.emplace(record.job.world_size(), settings_.lease);
  record.training.reset();
  if (training) record.training.emplace(std::move(*training));
  restore_ranks(record);
  // What has not begun to train has nothing to save.
  record.lifecycle.ends_processes = state == v1::JOB_STATE_PAUSING && !record.training;
  const SteadyTime now = table_.clock().now();
  const auto limit = record.config->launch.time_limit;
  if (!record.lifecycle.pause_cause.empty() && limit) {  // used up already, should it go on after all
    record.running = RunningAccount{.counted = now, .stored = now, .end = *limit * (running_time(record.job) / *limit)};
  }
  if (state == v1::JOB_STATE_STARTING) {
    record.register_by = now + record.start_timeout + settings_.register_grace;
  } else if (state == v1::JOB_STATE_RUNNING || awaits_checkpoint(record.lifecycle)) {
    record.back_by = now + settings_.lease.lease;
  }
}

// Those that have said their last; all others say again that they are there.
void AttemptSupervisor::restore_ranks(JobRecord& record) {
  const SteadyTime now = table_.clock().now();
  for (const FinishedRank& rank : table_.store().finished_ranks(record.job.id(), record.job.generation())) {
    if (!record.training || rank.rank < 0 || rank.rank >= record.members->world_size()) {
      throw std::runtime_error("rank " + std::to_string(rank.rank) + " on record is none of its ranks");
    }
    record.members->add(rank.rank, unknown_process(record.hosts, rank.rank), now);
    if (rank.digest.empty()) {
      record.members->set_left_with_checkpoint(rank.rank);
      if (record.members->all_have_left_with_checkpoint()) record.lifecycle.left_at_step = rank.step;
      continue;
    }
    record.members->finish(rank.rank, rank.digest, now);
    v1::EarlyStop stop;
    if (!rank.stopped_early.empty() && stop.ParseFromString(rank.stopped_early)) record.training->stopped_early = stop;
    if (!rank.ledger_chain.empty()) record.training->ledger_chain = rank.ledger_chain;
  }
  if (!record.members->all_finished()) return;
  record.lifecycle.all_ranks_finished = true;
  record.job.set_ledger_chain(record.training->ledger_chain);
  record.lifecycle.ending = ending_sentence(*record.training);
}

void AttemptSupervisor::show_taken_over(JobRecord& record) {
  const std::string attempt = "attempt " + std::to_string(record.job.generation());
  spdlog::info("job {}: {}, {} is taken over from the coordinator before", record.job.id(),
               state_name(record.job.state()), attempt);
  v1::TrainingJob job = record.job;
  const std::string sentence = "the coordinator was away, and " + attempt + " has waited for it";
  if (!has_condition(job, sentence)) add_condition(job, sentence);
  job.set_revision(revision_after_restart(job.revision()));
  read_progress(*record.config, job);
  // Stored before anybody sees it: else the next coordinator would leap to revisions that this one has shown.
  table_.replace(record, std::move(job));
  record.most_steps = std::max(record.most_steps, record.job.step());
  if (record.training) {
    table_.metrics().show_step(record.job);
    table_.metrics().show_checkpoint(record.job);
  }
  outputs_.reacquire_beside_ranks(record.job.id(), record.checked_config(), table_.clock().now());
}

}  // namespace equipoise::coordinator
