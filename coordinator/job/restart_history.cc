#include "coordinator/job/restart_history.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace equipoise::coordinator {

const char* attempt_state_of(RestartCause cause) {
  switch (cause) {
    case RestartCause::kPreemption:
      return kAttemptPreempted;
    case RestartCause::kCoordinator:
      return kAttemptLost;
    case RestartCause::kInfrastructure:
      break;
  }
  return kAttemptFailed;
}

std::vector<AttemptFailure> failures_on_record(JobStore& store, const std::string& job_id) {
  std::int64_t newest_maker = 0;
  for (const StoredCheckpoint& checkpoint : store.checkpoints(job_id)) {
    if (checkpoint.state == "COMMITTED") newest_maker = std::max(newest_maker, checkpoint.generation);
  }
  std::vector<AttemptFailure> failures;
  for (const StoredAttempt& attempt : store.attempts(job_id)) {
    if (attempt.generation < newest_maker) continue;
    for (const auto cause : {RestartCause::kInfrastructure, RestartCause::kCoordinator, RestartCause::kPreemption}) {
      if (attempt.state != attempt_state_of(cause)) continue;
      const v1::AttemptFailure failure = attempt.failure.value_or(v1::AttemptFailure());
      failures.push_back({.cause = attempt.cause,
                          .step = failure.step(),
                          .exit_code = attempt.exit_code,
                          .is_crash = failure.has_signal() && is_crash_signal(failure.signal()),
                          .restart_cause = cause});
    }
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
