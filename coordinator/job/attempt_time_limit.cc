// How long jobs are RUNNING, and what is done where that is as long as they may be.
#include <algorithm>
#include <chrono>

#include "coordinator/job/attempt_supervisor.h"
#include "coordinator/job/running_time.h"

namespace equipoise::coordinator {
namespace {

// What a crash of the coordinator takes from the account of a job at most.
constexpr std::chrono::seconds kStoreInterval{30};

}  // namespace

void AttemptSupervisor::count_running_time(SteadyTime now) {
  for (auto& [sequence, record] : table_.jobs()) {
    const JobLifecycle& job = record.intended();
    const bool may_go_on = job.state == v1::JOB_STATE_PAUSING && record.running;
    if (may_go_on) record.running->counted = now;
    if (job.state != v1::JOB_STATE_RUNNING) {
      if (!may_go_on) record.running.reset();
      continue;
    }
    const auto limit = record.checked_config().launch.time_limit;
    if (!record.running) {
      record.running = RunningAccount{.counted = now, .stored = now, .end = {}};
      if (limit) record.running->end = end_of_running_time(running_time(record.job), *limit);
      continue;
    }
    add_running_time(record.job, now - record.running->counted);
    record.running->counted = now;
    if (now - record.running->stored >= kStoreInterval) {
      record.running->stored = now;
      table_.store_soon(record);
    }
    if (limit && running_time(record.job) >= record.running->end) end_running_time(record, *limit, now);
  }
}

// Its ranks leave as for a pause, unless they are leaving or could not do so a moment ago.
void AttemptSupervisor::end_running_time(JobRecord& record, std::chrono::seconds limit, SteadyTime now) {
  if (record.stays_until && now < *record.stays_until) return;
  if (is_shutting_down()) return;  // the next coordinator counts on
  table_.settle(record, TimeLimitReached{.seconds = limit.count()});
}

}  // namespace equipoise::coordinator
