#include "coordinator/job/job_table.h"

#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "common/base/message_text.h"
#include "common/protocol/job_state.h"
#include "coordinator/job/attempt_failure.h"
#include "coordinator/job/job_progress.h"
#include "coordinator/job/record_check.h"
#include "coordinator/job/refusal.h"
#include "coordinator/job/restart_history.h"
#include "coordinator/sharding/batch_text.h"

namespace equipoise::coordinator {
namespace {

using google::protobuf::Timestamp;
using google::protobuf::util::TimeUtil;

WallTime wall_time(const Timestamp& time) {
  return WallTime(
      std::chrono::duration_cast<WallTime::duration>(std::chrono::nanoseconds(TimeUtil::TimestampToNanoseconds(time))));
}

LaunchedBy launched_by(const JobConfig& config) {
  return config.launch.mode == LaunchMode::kExternal ? LaunchedBy::kUser : LaunchedBy::kCoordinator;
}

JobLifecycle lifecycle_of(const v1::TrainingJob& job, const JobConfig* config) {
  return {.state = job.state(),
          .reason = job.state_reason(),
          .failure_kind = job.failure_kind(),
          .start_time = job.has_start_time() ? wall_time(job.start_time()) : WallTime{},
          .end_time = job.has_end_time() ? wall_time(job.end_time()) : WallTime{},
          .launched_by = config != nullptr ? launched_by(*config) : LaunchedBy::kCoordinator,
          .max_restarts = config != nullptr ? config->launch.max_restarts : 0,
          .generation = job.generation(),
          .has_trained = job.total_steps() > 0,
          // Of one that is RECOVERING nothing is known: what is refused then is its end.
          .has_newest_trained = job.total_steps() > 0 && job.state() != v1::JOB_STATE_STARTING};
}

void write_lifecycle(const JobLifecycle& lifecycle, v1::TrainingJob& job) {
  job.set_state(lifecycle.state);
  job.set_state_reason(utf8_text(lifecycle.reason));
  job.set_failure_kind(lifecycle.failure_kind);
  if (lifecycle.start_time != WallTime{}) *job.mutable_start_time() = timestamp(lifecycle.start_time);
  if (lifecycle.end_time != WallTime{}) *job.mutable_end_time() = timestamp(lifecycle.end_time);
  const bool is_waiting = lifecycle.state == v1::JOB_STATE_QUEUED || lifecycle.state == v1::JOB_STATE_RECOVERING ||
                          lifecycle.state == v1::JOB_STATE_PAUSED;
  if (!is_final(lifecycle.state) && !is_waiting) return;
  job.clear_phase();
  job.clear_time_left();
  if (is_final(lifecycle.state)) job.clear_open_requests();  // nobody can make them any more
}

// One that an earlier version of the program stored has none.
void note_etag(JobRecord& record) {
  if (record.job.etag().empty()) record.job.set_etag(etag_at(record.job.revision()));
  record.etag_basis = etag_basis(record.job);
}

JobRecord new_record(std::int64_t sequence, v1::TrainingJob job, JobConfig config) {
  JobRecord record;
  record.sequence = sequence;
  record.config = std::make_unique<const JobConfig>(std::move(config));
  record.lifecycle = lifecycle_of(job, record.config.get());
  record.job = std::move(job);
  note_etag(record);
  return record;
}

bool may_have_processes(v1::JobState state) {
  return has_attempt(state) || state == v1::JOB_STATE_PAUSING || state == v1::JOB_STATE_CANCELLING;
}

// Whether a coordinator that starts takes the revision of such a job above all that was shown of it, whatever it finds.
bool leaps_at_restart(v1::JobState state) { return may_have_processes(state); }

bool is_same(const JobLifecycle& one, const JobLifecycle& other) {
  const bool says_the_same = one.state == other.state && one.reason == other.reason && one.resumes == other.resumes;
  // A coordinator that takes over an attempt finds a sentence, and not always what it came from.
  return says_the_same && one.preempted_by == other.preempted_by && one.ends_processes == other.ends_processes &&
         one.left_at_step == other.left_at_step && one.all_ranks_finished == other.all_ranks_finished &&
         one.stop == other.stop;
}

// What is wanted of a job that is there; of one that is final, what was wanted before.
std::optional<DesiredState> desired_by(const JobLifecycle& job) {
  if (is_final(job.state)) return std::nullopt;
  if (job.state == v1::JOB_STATE_CANCELLING) return DesiredState::kCancel;
  const bool is_pausing = job.state == v1::JOB_STATE_PAUSING && !job.resumes;
  return is_pausing || job.state == v1::JOB_STATE_PAUSED ? DesiredState::kPause : DesiredState::kRun;
}

// How an attempt ended whose job has moved from `before` to `after`.
std::string end_of_attempt(const JobLifecycle& before, const JobLifecycle& after) {
  const bool goes_on = after.state == v1::JOB_STATE_RECOVERING || after.state == v1::JOB_STATE_QUEUED;
  if (!goes_on) return state_name(after.state);
  if (after.failures.size() > before.failures.size()) {
    return std::string(attempt_state_of(after.failures.back().restart_cause));
  }
  return before.left_at_step || after.left_at_step || before.state == v1::JOB_STATE_PAUSING ? kAttemptLeft
                                                                                            : kAttemptStopped;
}

// Of what is stored with the last bytes that are free: the end of a job or of its attempt, after which it needs no more
// room.
bool is_ending(const JobLifecycle& job) {
  return is_final(job.state) || job.state == v1::JOB_STATE_CANCELLING || job.state == v1::JOB_STATE_RECOVERING ||
         job.state == v1::JOB_STATE_PAUSED || job.all_ranks_finished || job.left_at_step;
}

// Whether `event` may be the same failure at the same step again: of what that step is made takes a while to find out.
bool may_end_alike(const JobRecord& record, const JobEvent& event) {
  const JobLifecycle& job = record.intended();
  const bool is_end = std::holds_alternative<LauncherExited>(event) || std::holds_alternative<RankFailed>(event);
  if (!is_end || !has_attempt(job.state) || !record.training || !record.config) return false;
  return !job.failures.empty() && job.failures.back().step == record.job.step();
}

AttemptRanks ranks_of(const JobRecord& record) {
  return {.members = record.members ? &*record.members : nullptr, .hosts = record.hosts};
}

// Of the newest attempt, where it has failed.
std::optional<v1::AttemptFailure> stored_failure(const v1::TrainingJob& job) {
  const bool is_of_newest = job.has_failure() && job.failure().generation() == job.generation();
  return is_of_newest ? std::optional(job.failure()) : std::nullopt;
}

constexpr std::chrono::minutes kShownAfterEnd{15};  // many scrapes, and evaluations of alerts
constexpr std::size_t kMostShownAfterEnd = 100;

constexpr int kChangeBits = 40;  // 10^12 changes between two restarts
// Above that of any job that ran, and room for changes above it.
constexpr std::int64_t kRevisionOfDamaged = std::int64_t{1} << 61;

JobRecord damaged_record(const StoredJob& stored, std::string fault, WallTime now) {
  JobRecord record;
  record.sequence = stored.sequence;
  record.job = set_aside(readable_part(stored), fault, now);
  record.lifecycle = lifecycle_of(record.job, nullptr);
  note_etag(record);
  record.spec_refusal = fault;
  record.damage = std::move(fault);
  spdlog::error("job {}: {}", record.job.id(), record.job.state_reason());
  return record;
}

JobRecord stored_record(StoredJob stored, WallTime now) {
  if (std::string fault = job_fault(stored); !fault.empty()) return damaged_record(stored, std::move(fault), now);
  try {
    JobConfig config = make_job_config(stored.job.spec());
    JobRecord record = new_record(stored.sequence, std::move(stored.job), std::move(config));
    record.desired = stored.desired;
    return record;
  } catch (const std::exception& refusal) {  // whatever it is: the other jobs are to run
    JobRecord record;
    record.sequence = stored.sequence;
    record.spec_refusal = refusal.what();
    record.lifecycle = lifecycle_of(stored.job, nullptr);
    record.job = std::move(stored.job);
    note_etag(record);
    return record;
  }
}

}  // namespace

std::int64_t revision_after_restart(std::int64_t stored) { return ((stored >> kChangeBits) + 1) << kChangeBits; }

v1::TrainingJob readable_part(const StoredJob& stored) {
  v1::TrainingJob job;
  job.set_id(stored.job.id());
  job.set_revision(kRevisionOfDamaged);
  if (stored.job.has_spec()) *job.mutable_spec() = stored.job.spec();
  return job;
}

v1::TrainingJob set_aside(v1::TrainingJob job, const std::string& why, WallTime now) {
  if (is_final(job.state())) {
    add_condition(job, "set aside: " + why);
  } else {
    write_lifecycle(next(lifecycle_of(job, nullptr), SetAside{.why = why}, now), job);
  }
  job.set_revision(revision_after_restart(job.revision()));
  job.set_etag(etag_at(job.revision()));
  return job;
}

const JobConfig& JobRecord::checked_config() const {
  if (config) return *config;
  if (!damage.empty()) {
    throw Refusal(Refusal::Code::kFailedPrecondition, ErrorReason::kRecordDamaged,
                  "job " + job.id() + " is set aside: " + damage);
  }
  throw Refusal(Refusal::Code::kFailedPrecondition,
                "job " + job.id() + " was stored by another version of the coordinator: " + spec_refusal);
}

JobTable::JobTable(const Clock& clock, JobStore& store, JobMetrics& metrics, FileErrands* errands)
    : clock_(clock), store_(store), metrics_(metrics), errands_(errands), time_shown_(clock.now()) {
  for (StoredJob& stored : store_.jobs()) {
    JobRecord record = stored_record(std::move(stored), clock.wall());
    sequence_of_[record.job.id()] = record.sequence;
    jobs_.emplace(record.sequence, std::move(record));
  }
  for (const std::string& range : store_.unread()) spdlog::error("{}", range);
  show_stored();
}

// As if they had been shown all the time.
void JobTable::show_stored() {
  for (const auto& [sequence, record] : jobs_) {
    if (is_final(record.job.state())) {
      const auto age = record.job.has_end_time() ? clock_.wall() - wall_time(record.job.end_time()) : kShownAfterEnd;
      if (age >= kShownAfterEnd) continue;
      ended_.push_back({.time = clock_.now() - std::max<SteadyTime::duration>(age, {}), .id = record.job.id()});
    }
    metrics_.show_info(record.job);
    metrics_.show_state(record.job.id(), record.job.state());
  }
  std::ranges::stable_sort(ended_, {}, &EndedJob::time);
}

void JobTable::remove_old_series() {
  const SteadyTime now = clock_.now();
  while (!ended_.empty() && (ended_.size() > kMostShownAfterEnd || now - ended_.front().time >= kShownAfterEnd)) {
    metrics_.remove_job(ended_.front().id);
    ended_.pop_front();
  }
}

void JobTable::show_time() {
  const SteadyTime now = clock_.now();
  std::map<v1::JobState, std::size_t> count;
  for (const auto& [sequence, record] : jobs_) {
    ++count[record.job.state()];
    if (!is_final(record.job.state())) metrics_.count_time(record.job.id(), record.job.state(), now - time_shown_);
  }
  metrics_.show_jobs(count);
  time_shown_ = now;
}

JobRecord& JobTable::find(const std::string& id) {
  const auto known = sequence_of_.find(id);
  if (known != sequence_of_.end()) return jobs_.at(known->second);
  throw Refusal(Refusal::Code::kNotFound, "there is no job \"" + id.substr(0, 80) + "\"");
}

JobRecord& JobTable::insert(v1::TrainingJob job, JobConfig config) {
  check_room();
  job.set_etag(etag_at(job.revision()));
  const std::int64_t sequence = store_.insert_job(job, std::nullopt);
  JobRecord record = new_record(sequence, std::move(job), std::move(config));
  metrics_.show_info(record.job);
  metrics_.show_state(record.job.id(), record.job.state());
  spdlog::info("job {}: {}, {}", record.job.id(), state_name(record.job.state()), record.job.state_reason());
  sequence_of_[record.job.id()] = sequence;
  return jobs_.emplace(sequence, std::move(record)).first->second;
}

void JobTable::erase(const std::string& id) {
  const std::int64_t sequence = find(id).sequence;
  store_.delete_job(id);
  metrics_.remove_job(id);
  sequence_of_.erase(id);
  jobs_.erase(sequence);
  attempt_tokens_.erase(id);
  note_change(id);
}

JobLifecycle JobTable::moved_by(const JobRecord& record, const JobEvent& event) const {
  JobLifecycle job = record.intended();
  job.generation = record.job.generation();
  job.step = record.job.step();
  job.batch = may_end_alike(record, event) ? batch_text(*record.config, record.training->plan, job.step) : "";
  return next(job, event, clock_.wall());
}

bool JobTable::apply(JobRecord& record, const JobEvent& event, const Edit& edit, const Save& save) {
  JobLifecycle after = moved_by(record, event);
  if (is_same(after, record.intended())) return false;
  store(record, std::move(after), edit, save);
  return true;
}

void JobTable::settle(JobRecord& record, const JobEvent& event) {
  JobLifecycle after = moved_by(record, event);
  if (is_same(after, record.intended())) return;
  record.unstored = std::move(after);
  try {
    store_unstored(record);
  } catch (const StoreError& failure) {
    note_failure(failure);
    const std::string what = state_name(record.unstored->state) + ", " + record.unstored->reason;
    spdlog::warn("job {}: {}; this is to be stored as soon as it can be: {}", record.job.id(), what, failure.what());
    if (!leaps_at_restart(record.job.state())) return;
    add_condition(record.job, "could not be stored yet: " + what);
    bump_revision(record);
  }
}

void JobTable::store_unstored(JobRecord& record) {
  if (record.unstored) store(record, JobLifecycle(*record.unstored), {}, {});
}

void JobTable::store_unstored() {
  for (auto& [sequence, record] : jobs_) {
    const bool has_news = record.has_news && !is_held();
    const bool has_unshown = !record.unshown.empty() && !is_held();
    if (!record.unstored && !has_news && !has_unshown) continue;
    try {
      store_unstored(record);
      if (has_unshown) store_unshown(record);
      if (has_news && record.has_news) store_.update_job(record.job);
      if (has_news) record.has_news = false;
    } catch (const StoreError& failure) {
      note_failure(failure);
      // Trying again does not help, and what waits for it would wait for ever.
      if (failure.cause() == StoreError::Cause::kDamaged) set_aside_for_now(record, failure.what());
      if (failure.cause() == StoreError::Cause::kBusy) return;  // which each of them waits for anew
    }
  }
}

void JobTable::note(JobRecord& record, const Edit& edit) {
  if (leaps_at_restart(record.job.state())) {
    edit(record.job);
    bump_revision(record);
    return store_soon(record);
  }
  record.unshown.push_back(edit);
  if (is_held()) return;
  try {
    store_unshown(record);
  } catch (const StoreError& failure) {
    note_failure(failure);
  }
}

void JobTable::store_unshown(JobRecord& record) {
  if (!record.unshown.empty()) replace(record, record.job);
}

void JobTable::store_soon(JobRecord& record) {
  record.has_news = true;
  if (is_held()) return;
  try {
    store_.update_job(record.job);
    record.has_news = false;
  } catch (const StoreError& failure) {
    note_failure(failure);
  }
}

void JobTable::replace(JobRecord& record, v1::TrainingJob job, const std::string& request) {
  for (const Edit& unshown : record.unshown) unshown(job);
  job.set_revision(job.revision() + 1);
  renew_etag(record.etag_basis, job);
  store_.update_job(job, std::nullopt, request);
  record.job = std::move(job);
  record.etag_basis = etag_basis(record.job);
  record.unshown.clear();
  note_change(record.job.id());
}

void JobTable::store(JobRecord& record, JobLifecycle after, const Edit& edit, const Save& save) {
  if (!is_ending(after)) check_room();
  v1::TrainingJob job = record.job;
  for (const Edit& unshown : record.unshown) unshown(job);
  write_lifecycle(after, job);
  if (after.failure && after.failure != record.lifecycle.failure) {
    *job.mutable_failure() = attempt_failure(*after.failure, ranks_of(record));
  }
  if (edit) edit(job);
  job.set_revision(job.revision() + 1);
  renew_etag(record.etag_basis, job);
  if (save) {
    save(job);
  } else {
    write(record, after, job);
  }
  record.job = std::move(job);
  record.etag_basis = etag_basis(record.job);
  note_change(record.job.id());
  record.unstored.reset();
  record.has_news = false;
  record.unshown.clear();
  const JobLifecycle before = std::exchange(record.lifecycle, std::move(after));
  show(record, before);
}

// With the end of the attempt that the job had before.
void JobTable::write(const JobRecord& record, const JobLifecycle& after, const v1::TrainingJob& job) {
  const bool ends_attempt = may_have_processes(record.lifecycle.state) && !may_have_processes(after.state);
  const std::optional<DesiredState> desired = desired_by(after);
  if (!ends_attempt || job.generation() == 0) return store_.update_job(job, desired);
  const bool is_failure = after.failures.size() > record.lifecycle.failures.size();
  store_.end_attempt(job,
                     {.generation = job.generation(),
                      .state = end_of_attempt(record.lifecycle, after),
                      .cause = is_failure ? after.failures.back().cause : after.reason,
                      .exit_code = is_failure ? after.failures.back().exit_code : std::nullopt,
                      .ended_at = std::chrono::system_clock::to_time_t(clock_.wall()),
                      .failure = stored_failure(job)},
                     desired);
}

void JobTable::add_end_of_failure(JobRecord& record, const LaunchExit& exit, bool was_asked_to_end) {
  const v1::TrainingJob& job = record.job;
  if (!job.has_failure() || job.failure().generation() != exit.attempt.generation) return;
  v1::AttemptFailure failure = job.failure();
  if (!complete_failure(failure, exit, was_asked_to_end, ranks_of(record))) return;
  note(record, [failure](v1::TrainingJob& noted) { *noted.mutable_failure() = failure; });
  if (is_held()) return;
  try {
    store_.set_attempt_failure(job.id(), failure);
  } catch (const StoreError& error) {  // the job has it
    note_failure(error);
  }
}

void JobTable::tell_of_attempt(JobRecord& record, std::int64_t generation, const std::string& sentence) {
  if (has_condition(record.job, sentence)) return;
  const bool has_failed = record.job.has_failure() && record.job.failure().generation() == generation;
  note(record, [sentence, has_failed](v1::TrainingJob& job) {
    add_condition(job, sentence);
    if (has_failed) job.mutable_failure()->set_reason(job.failure().reason() + "; " + sentence);
  });
  if (!has_failed || is_held()) return;
  v1::AttemptFailure failure = record.job.failure();
  try {
    store_.set_attempt_failure(record.job.id(), failure);
  } catch (const StoreError& error) {  // the job has it
    note_failure(error);
  }
}

void JobTable::hold(const std::string& why) {
  held_because_ = why;
  tell_running("waits at its next step, as nothing can be stored: " + why);
}

void JobTable::release() {
  held_because_.clear();
  tell_running("goes on: what is stored can be written again");
}

void JobTable::check_room() const {
  if (is_held()) throw StoreError(StoreError::Cause::kFull, held_because_);
}

void JobTable::tell_running(const std::string& sentence) {
  for (auto& [sequence, record] : jobs_) {
    if (has_attempt(record.intended().state)) tell(record, sentence);
  }
}

// Damage is of one job, and said once; what else keeps writes from the disk is of all, and is acted on.
void JobTable::note_failure(const StoreError& failure) {
  const bool is_damage = failure.cause() == StoreError::Cause::kDamaged;
  if (is_damage && failure_ && failure_->cause() != StoreError::Cause::kDamaged) return;
  failure_ = failure;
}

void JobTable::set_aside_for_now(JobRecord& record, const std::string& why) {
  record.has_news = false;
  record.unshown.clear();
  if (is_final(record.job.state())) return;
  record = damaged_record({.sequence = record.sequence, .job = record.job}, why, clock_.wall());
  note_change(record.job.id());
  metrics_.show_state(record.job.id(), record.job.state());
  show_end(record);
}

// Nobody looks at its ranks any more.
void JobTable::show_end(const JobRecord& record) {
  ended_.push_back({.time = clock_.now(), .id = record.job.id()});
  metrics_.show_stall(record.job.id(), SteadyTime::duration::zero());
  metrics_.show_ranks(record.job.id(), {});
}

void JobTable::warn_running(const std::string& sentence) {
  for (auto& [sequence, record] : jobs_) {
    if (has_attempt(record.intended().state) && !has_condition(record.job, sentence)) tell(record, sentence);
  }
}

void JobTable::tell(JobRecord& record, const std::string& sentence) {
  add_condition(record.job, sentence);
  bump_revision(record);
  store_soon(record);
}

void JobTable::show(JobRecord& record, const JobLifecycle& before) {
  const auto level = record.job.state() == v1::JOB_STATE_FAILED ? spdlog::level::warn : spdlog::level::info;
  spdlog::log(level, "job {}: {} -> {}, {}", record.job.id(), state_name(before.state), state_name(record.job.state()),
              record.job.state_reason());
  metrics_.show_state(record.job.id(), record.job.state());
  if (!is_final(before.state) && is_final(record.job.state())) show_end(record);
}

}  // namespace equipoise::coordinator
