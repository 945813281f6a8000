#include "coordinator/job/state_audit.h"

#include <exception>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "common/config/job_config.h"
#include "coordinator/job/job_table.h"
#include "coordinator/job/record_check.h"

namespace equipoise::coordinator {
namespace {

// None of a job of another version of the program, whose rules were others: that is no damage.
std::optional<JobConfig> config_of(const v1::TrainingJob& job) {
  try {
    return make_job_config(job.spec());
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::optional<DamagedJob> damage_of(JobStore& store, const StoredJob& stored) {
  if (std::string why = job_fault(stored); !why.empty())
    return DamagedJob{.job = readable_part(stored), .why = std::move(why)};
  const std::optional<JobConfig> config = config_of(stored.job);
  std::string why = config ? history_fault(store, *config, stored.job) : std::string();
  if (why.empty()) return std::nullopt;
  return DamagedJob{.job = stored.job, .why = std::move(why)};
}

void audit_jobs(JobStore& store, StateAudit& audit) {
  const std::map<std::string, std::string> set_aside = store.jobs_set_aside();
  for (const StoredJob& stored : store.jobs()) {
    ++audit.jobs;
    const auto earlier = set_aside.find(stored.job.id());
    if (earlier != set_aside.end()) {
      audit.set_aside.push_back({.job = stored.job, .why = earlier->second});
    } else if (auto damaged = damage_of(store, stored)) {
      audit.damaged.push_back(std::move(*damaged));
    }
  }
}

}  // namespace

StateAudit audit_state(JobStore& store) {
  StateAudit audit;
  audit.file_faults = store.file_faults();
  try {
    audit_jobs(store, audit);
  } catch (const StoreError& error) {
    if (error.cause() != StoreError::Cause::kDamaged) throw;
    audit.file_faults.push_back("the jobs cannot be listed: " + std::string(error.what()));
  }
  return audit;
}

void quarantine(JobStore& store, const StateAudit& audit, WallTime now) {
  for (const DamagedJob& damaged : audit.damaged) {
    store.set_aside(set_aside(damaged.job, damaged.why, now), damaged.why);
  }
}

}  // namespace equipoise::coordinator
