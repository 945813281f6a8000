// Which calls of a rank fit a job's state and generation. All throw Refusal.
#pragma once

#include <cstdint>
#include <string>

#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// kFailedPrecondition: "job <id> is <STATE> and <what>".
[[noreturn]] void refuse_state(const v1::TrainingJob& job, const std::string& what);

void check_generation(const v1::TrainingJob& job,
                      std::int64_t generation);        // kFailedPrecondition unless it is the newest
void check_not_cancelled(const v1::TrainingJob& job);  // kCancelled if it is or is being
void check_not_final(const v1::TrainingJob& job);      // kFailedPrecondition

// Whether ranks that are still there have to end.
bool must_exit(v1::JobState state);

}  // namespace equipoise::coordinator
