#include "coordinator/job/job_table.h"

#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "common/base/message_text.h"
#include "common/protocol/job_state.h"
#include "coordinator/job/job_progress.h"
#include "coordinator/job/record_check.h"
#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {
namespace {

using google::protobuf::Timestamp;
using google::protobuf::util::TimeUtil;

Timestamp timestamp(WallTime time) {
  return TimeUtil::NanosecondsToTimestamp(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

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
          .launched_by = config != nullptr ? launched_by(*config) : LaunchedBy::kCoordinator};
}

void write_lifecycle(const JobLifecycle& lifecycle, v1::TrainingJob& job) {
  job.set_state(lifecycle.state);
  job.set_state_reason(utf8_text(lifecycle.reason));
  job.set_failure_kind(lifecycle.failure_kind);
  if (lifecycle.start_time != WallTime{}) *job.mutable_start_time() = timestamp(lifecycle.start_time);
  if (lifecycle.end_time != WallTime{}) *job.mutable_end_time() = timestamp(lifecycle.end_time);
  if (!is_final(lifecycle.state)) return;
  job.clear_phase();
  job.clear_time_left();
}

JobRecord new_record(std::int64_t sequence, v1::TrainingJob job, JobConfig config) {
  JobRecord record;
  record.sequence = sequence;
  record.config = std::make_unique<const JobConfig>(std::move(config));
  record.lifecycle = lifecycle_of(job, record.config.get());
  record.job = std::move(job);
  return record;
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
  return job;
}

const JobConfig& JobRecord::checked_config() const {
  if (config) return *config;
  if (!damage.empty()) {
    throw Refusal(Refusal::Code::kFailedPrecondition, "job " + job.id() + " is set aside: " + damage);
  }
  throw Refusal(Refusal::Code::kFailedPrecondition,
                "job " + job.id() + " was stored by another version of the coordinator: " + spec_refusal);
}

JobTable::JobTable(const Clock& clock, JobStore& store, JobMetrics& metrics)
    : clock_(clock), store_(store), metrics_(metrics) {
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

JobRecord& JobTable::find(const std::string& id) {
  const auto known = sequence_of_.find(id);
  if (known != sequence_of_.end()) return jobs_.at(known->second);
  throw Refusal(Refusal::Code::kNotFound, "there is no job \"" + id.substr(0, 80) + "\"");
}

JobRecord& JobTable::insert(v1::TrainingJob job, JobConfig config, const std::optional<AnsweredRequest>& request) {
  const std::int64_t sequence = store_.insert_job(job, request);
  JobRecord record = new_record(sequence, std::move(job), std::move(config));
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
}

bool JobTable::apply(JobRecord& record, const JobEvent& event, const Edit& edit, const Save& save) {
  JobLifecycle after = next(record.lifecycle, event, clock_.wall());
  if (after.state == record.lifecycle.state && after.reason == record.lifecycle.reason) return false;
  v1::TrainingJob job = record.job;
  write_lifecycle(after, job);
  if (edit) edit(job);
  job.set_revision(job.revision() + 1);
  if (save) {
    save(job);
  } else {
    store_.update_job(job);
  }
  record.job = std::move(job);
  const JobLifecycle before = std::exchange(record.lifecycle, std::move(after));
  show(record, before);
  return true;
}

void JobTable::set_aside_for_now(JobRecord& record, const std::string& why) {
  if (is_final(record.job.state())) return;
  record = damaged_record({.sequence = record.sequence, .job = record.job}, why, clock_.wall());
  metrics_.show_state(record.job.id(), record.job.state());
}

void JobTable::show(JobRecord& record, const JobLifecycle& before) {
  const auto level = record.job.state() == v1::JOB_STATE_FAILED ? spdlog::level::warn : spdlog::level::info;
  spdlog::log(level, "job {}: {} -> {}, {}", record.job.id(), state_name(before.state), state_name(record.job.state()),
              record.job.state_reason());
  metrics_.show_state(record.job.id(), record.job.state());
  if (!is_final(before.state) && is_final(record.job.state())) {
    ended_.push_back({.time = clock_.now(), .id = record.job.id()});
  }
}

}  // namespace equipoise::coordinator
