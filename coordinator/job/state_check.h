// Which calls of a rank fit a job's state and generation, and where a rank may end: at the end of the plan, or early
// when the job has training.early_stopping.
#pragma once

#include <cstdint>
#include <string>

#include "coordinator/job/job_table.h"
#include "equipoise/v1/training.pb.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// `record` is training. Throws Refusal kFailedPrecondition where final_step is not the end, steps before it are not on
// record, or another rank has ended otherwise; std::invalid_argument on an early stop that the job cannot have.
void check_finish(const JobRecord& record, const v1::FinishWorkerRequest& request);

// "stopped early at step 40 of 100: ...", and how many steps changed nothing. Empty where the plan was done, and each
// of its steps applied.
std::string ending_sentence(const Training& training);

// kFailedPrecondition: "job <id> is <STATE> and <what>".
[[noreturn]] void refuse_state(const v1::TrainingJob& job, const std::string& what);

void check_generation(const v1::TrainingJob& job,
                      std::int64_t generation);        // kFailedPrecondition unless it is the newest
void check_not_cancelled(const v1::TrainingJob& job);  // kCancelled if it is or is being
void check_not_final(const v1::TrainingJob& job);      // kFailedPrecondition; also where its attempt has failed

// kFailedPrecondition where its attempt is over, whoever has taken note of that, or has not begun to train.
void check_trains(const JobRecord& record);

// Whether ranks that are still there have to end, with nothing that they may still save.
bool must_exit(const JobLifecycle& job);
// Throws Refusal (kStaleGeneration, kJobEnded, kJobCancelled) where they have to, also where that could not be stored
// yet.
void check_goes_on(const JobRecord& record);

}  // namespace equipoise::coordinator
