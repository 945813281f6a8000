#include "coordinator/job/restart_history.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace equipoise::coordinator {

std::vector<AttemptFailure> failures_on_record(JobStore& store, const std::string& job_id) {
  std::int64_t newest_maker = 0;
  for (const StoredCheckpoint& checkpoint : store.checkpoints(job_id)) {
    if (checkpoint.state == "COMMITTED") newest_maker = std::max(newest_maker, checkpoint.generation);
  }
  std::vector<AttemptFailure> failures;
  for (const StoredAttempt& attempt : store.attempts(job_id)) {
    const bool counts = attempt.state == kAttemptFailed || attempt.state == kAttemptLost;
    if (counts && attempt.generation >= newest_maker) failures.push_back({.cause = attempt.cause});
  }
  return failures;
}

std::optional<StoredAttempt> newest_attempt(JobStore& store, const std::string& job_id) {
  std::vector<StoredAttempt> attempts = store.attempts(job_id);
  return attempts.empty() ? std::nullopt : std::optional(std::move(attempts.back()));
}

bool was_stopped(JobStore& store, const std::string& job_id) {
  const auto newest = newest_attempt(store, job_id);
  return newest && (newest->state == kAttemptStopped || newest->state == kAttemptLeft);
}

}  // namespace equipoise::coordinator
