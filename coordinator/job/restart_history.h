// What is on record of a job's restarts, for a coordinator that has not seen them itself.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/lifecycle/restart_policy.h"
#include "coordinator/store/job_store.h"

namespace equipoise::coordinator {

// How an attempt is said to have ended, besides by the final state of its job.
inline constexpr char kAttemptFailed[] = "FAILED";    // and used up a restart
inline constexpr char kAttemptLost[] = "LOST";        // likewise: its coordinator was
inline constexpr char kAttemptStopped[] = "STOPPED";  // with its coordinator, in order
inline constexpr char kAttemptLeft[] = "LEFT";        // of itself, with a checkpoint or before it had begun to train

// Of the attempts since the one that made the newest checkpoint, oldest first. None of them is said to be of the job
// itself: at which step each ended, and who ended it, is not on record.
std::vector<AttemptFailure> failures_on_record(JobStore& store, const std::string& job_id);

std::optional<StoredAttempt> newest_attempt(JobStore& store, const std::string& job_id);
// Whether the newest attempt has ended in order: with its coordinator, or of itself with a checkpoint.
bool was_stopped(JobStore& store, const std::string& job_id);

}  // namespace equipoise::coordinator
