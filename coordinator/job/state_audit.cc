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

std::map<std::string, std::string> jobs_set_aside(JobStore& store) {
  try {
    return store.jobs_set_aside();
  } catch (const StoreError& error) {  // they are looked at again
    if (error.cause() != StoreError::Cause::kDamaged) throw;
    return {};
  }
}

}  // namespace

StateAudit audit_state(JobStore& store) {
  StateAudit audit;
  audit.file_faults = store.file_faults();
  const std::map<std::string, std::string> set_aside = jobs_set_aside(store);
  for (const StoredJob& stored : store.jobs()) {
    ++audit.jobs;
    const auto earlier = set_aside.find(stored.job.id());
    if (earlier != set_aside.end()) {
      audit.set_aside.push_back({.job = stored.job, .why = earlier->second});
    } else if (auto damaged = damage_of(store, stored)) {
      audit.damaged.push_back(std::move(*damaged));
    }
  }
  audit.file_faults.insert(audit.file_faults.end(), store.unread().begin(), store.unread().end());
  return audit;
}

std::vector<std::string> quarantine(JobStore& store, const StateAudit& audit, WallTime now) {
  std::vector<std::string> replaced;
  if (!audit.file_faults.empty()) replaced = store.replace_damaged_tables();
  for (const DamagedJob& damaged : audit.damaged) {
    store.set_aside(set_aside(damaged.job, damaged.why, now), damaged.why);
  }
  return replaced;
}

}  // namespace equipoise::coordinator
