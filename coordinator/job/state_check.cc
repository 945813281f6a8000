#include "coordinator/job/state_check.h"

#include "common/protocol/job_state.h"
#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {

void refuse_state(const v1::TrainingJob& job, const std::string& what) {
  throw Refusal(Refusal::Code::kFailedPrecondition,
                "job " + job.id() + " is " + state_name(job.state()) + " and " + what);
}

void check_generation(const v1::TrainingJob& job, std::int64_t generation) {
  if (generation == job.generation() && generation > 0) return;
  const std::string newest =
      job.generation() == 0 ? "it has none yet" : "its newest is " + std::to_string(job.generation());
  throw Refusal(Refusal::Code::kFailedPrecondition,
                "job " + job.id() + ": generation is " + std::to_string(generation) + ", but " + newest);
}

void check_not_cancelled(const v1::TrainingJob& job) {
  if (job.state() != v1::JOB_STATE_CANCELLING && job.state() != v1::JOB_STATE_CANCELLED) return;
  throw Refusal(Refusal::Code::kCancelled, "job " + job.id() + " is " + state_name(job.state()));
}

void check_not_final(const v1::TrainingJob& job) {
  if (!is_final(job.state())) return;
  throw Refusal(Refusal::Code::kFailedPrecondition,
                "job " + job.id() + " is " + state_name(job.state()) + ": " + job.state_reason());
}

bool must_exit(v1::JobState state) {
  return state == v1::JOB_STATE_CANCELLING || state == v1::JOB_STATE_CANCELLED || state == v1::JOB_STATE_FAILED;
}

}  // namespace equipoise::coordinator
