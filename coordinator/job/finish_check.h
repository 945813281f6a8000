// Where a rank may end: at the end of the plan, or early when the job has training.early_stopping.
#pragma once

#include <string>

#include "coordinator/job/job_table.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// `record` is training. Throws Refusal kFailedPrecondition where final_step is not the end, steps before it are not on
// record, or another rank has ended otherwise; std::invalid_argument on an early stop that the job cannot have.
void check_finish(const JobRecord& record, const v1::FinishWorkerRequest& request);

// "stopped early at step 40 of 100: ...", empty where the plan was done.
std::string early_stop_sentence(const Training& training);

}  // namespace equipoise::coordinator
