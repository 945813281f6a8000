// How running jobs make room for waiting ones of a higher priority: their ranks make a checkpoint and leave, and they
// are queued again.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>
#include <vector>

#include "coordinator/job/attempt_supervisor.h"

namespace equipoise::coordinator {
namespace {

// One that has done no step since its attempt began has nothing to make a checkpoint of.
bool has_done_a_step(const JobRecord& record) {
  return record.training && record.training->weights.next_step() > record.training->plan.first_step;
}

bool may_leave(const JobRecord& record, SteadyTime now) {
  const JobLifecycle& job = record.intended();
  const bool is_there = has_attempt(job.state) && !job.left_at_step && !job.all_ranks_finished;
  const bool is_asked = record.must_leave || !job.preempted_by.empty();
  return is_there && !is_asked && !(record.stays_until && now < *record.stays_until);
}

// Of one with an attempt that ends: whether another attempt follows.
bool comes_back(const JobLifecycle& job) {
  switch (job.state) {
    case v1::JOB_STATE_QUEUED:
    case v1::JOB_STATE_RECOVERING:
      return true;
    case v1::JOB_STATE_RUNNING:
      return !job.all_ranks_finished;
    case v1::JOB_STATE_PAUSING:
      return job.resumes;
    default:
      return false;
  }
}

bool is_leaving_already(const JobRecord& record) {
  const JobLifecycle& job = record.intended();
  if (!has_attempt(job.state)) return true;
  const bool is_leaving = job.left_at_step || job.all_ranks_finished || !job.preempted_by.empty();
  return job.state == v1::JOB_STATE_RUNNING && (is_leaving || record.must_leave);
}

QueuePlace queue_place_of(const JobRecord& record) {
  return {.priority = record.job.priority(), .sequence = record.sequence};
}

}  // namespace

std::vector<JobRecord*> AttemptSupervisor::waiting_jobs() {
  std::vector<JobRecord*> waiting;
  for (auto& [sequence, record] : table_.jobs()) {
    const v1::JobState state = record.intended().state;
    const bool is_waiting = state == v1::JOB_STATE_QUEUED || state == v1::JOB_STATE_RECOVERING;
    const bool is_ours = record.lifecycle.launched_by == LaunchedBy::kCoordinator;
    if (is_waiting && is_ours && !has_processes(record.job.id())) waiting.push_back(&record);
  }
  std::ranges::sort(waiting, [](const JobRecord* one, const JobRecord* other) {
    return starts_before(queue_place_of(*one), queue_place_of(*other));
  });
  return waiting;
}

std::vector<RoomHolder> AttemptSupervisor::room_holders(const JobRecord& wanted, SteadyTime now) {
  std::vector<RoomHolder> holders;
  for (const auto& [key, attempt] : attempts_) {
    RoomHolder holder{.place = {}, .room = {.places = 1}, .stay = RoomHolder::Stay::kLeaves};
    holder.room.slots = slots_.used_slots(attempt.hosts);
    if (table_.contains(key.job_id)) {
      const JobRecord& record = table_.find(key.job_id);
      holder.place = queue_place_of(record);
      const bool returns = comes_back(record.intended()) && starts_before(holder.place, queue_place_of(wanted));
      if (may_leave(record, now)) {
        holder.stay = RoomHolder::Stay::kMayLeave;
      } else if (!is_leaving_already(record) || returns) {
        holder.stay = RoomHolder::Stay::kStays;
      }
    }
    holders.push_back(holder);
  }
  return holders;
}

bool AttemptSupervisor::make_room(JobRecord& wanted, const Room& needed, const Room& kept, SteadyTime now) {
  const bool counts_slots = slots_.total() > 0;
  const auto taken = static_cast<int>(attempts_.size());
  const Room free{.places = settings_.max_running_jobs - taken - kept.places,
                  .slots = counts_slots ? slots_.free() - kept.slots : 0};
  const Room uncounted{.places = needed.places, .slots = counts_slots ? needed.slots : 0};
  for (const std::int64_t sequence :
       jobs_to_leave(queue_place_of(wanted), uncounted, free, room_holders(wanted, now))) {
    JobRecord& record = table_.jobs().at(sequence);
    spdlog::info("job {}: is to make room for job {}", record.job.id(), wanted.job.id());
    table_.settle(record, Preempted{.by = wanted.job.id(), .has_stepped = has_done_a_step(record)});
    if (record.intended().state != v1::JOB_STATE_RUNNING) {
      record.register_by.reset();
      continue;
    }
    record.must_leave = true;
    record.leave_by = now + settings_.preemption_grace;
  }
  std::string names;
  for (const auto& [sequence, record] : table_.jobs()) {
    const JobLifecycle& job = record.intended();
    const bool is_ending = job.state == v1::JOB_STATE_RECOVERING && has_processes(record.job.id());
    if (job.preempted_by != wanted.job.id() || (job.state != v1::JOB_STATE_RUNNING && !is_ending)) continue;
    names += names.empty() ? "" : ", ";
    names += record.job.id();
  }
  if (names.empty()) return false;
  table_.apply(wanted, RoomAwaited{.jobs = names});
  return true;
}

// Ranks that do not leave in time are ended, and the job goes on from its newest checkpoint.
void AttemptSupervisor::check_leaving(SteadyTime now) {
  for (auto& [sequence, record] : table_.jobs()) {
    if (!record.leave_by) continue;
    const JobLifecycle& job = record.intended();
    const bool is_leaving = job.state == v1::JOB_STATE_RUNNING && !job.preempted_by.empty() && !job.left_at_step;
    if (is_leaving && now <= *record.leave_by) continue;
    record.leave_by.reset();
    if (is_leaving) table_.settle(record, PreemptionOverdue{.seconds = settings_.preemption_grace.count()});
  }
}

}  // namespace equipoise::coordinator
