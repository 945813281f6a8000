#include "coordinator/job/state_check.h"

#include <cmath>
#include <stdexcept>

#include "common/base/message_text.h"
#include "common/protocol/job_state.h"
#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kLongestMetric = 512;

void check_early_stop(const JobRecord& record, const v1::FinishWorkerRequest& request) {
  const v1::EarlyStop& stop = request.stopped_early();
  if (!record.checked_config().training.early_stopping) {
    throw std::invalid_argument("stopped_early is given, but the job has no training.early_stopping");
  }
  if (stop.metric().empty() || stop.metric().size() > kLongestMetric) {
    throw std::invalid_argument("stopped_early.metric has " + std::to_string(stop.metric().size()) +
                                " bytes, expected 1 to " + std::to_string(kLongestMetric));
  }
  if (!std::isfinite(stop.best())) {
    throw std::invalid_argument("stopped_early.best is " + number_text(stop.best()) + ", expected a finite number");
  }
  if (stop.best_step() < 0 || stop.best_step() > request.final_step()) {
    throw std::invalid_argument("stopped_early.best_step is " + std::to_string(stop.best_step()) +
                                ", expected 0 to final_step " + std::to_string(request.final_step()));
  }
}

}  // namespace

void check_finish(const JobRecord& record, const v1::FinishWorkerRequest& request) {
  const Training& training = *record.training;
  const std::int64_t done = training.weights.next_step(), end_step = training.plan.end_step;
  const std::string rank = "rank " + std::to_string(request.rank());
  if (request.has_stopped_early()) check_early_stop(record, request);
  if (request.skipped_steps() < 0 || request.skipped_steps() > request.final_step()) {
    throw std::invalid_argument("skipped_steps is " + std::to_string(request.skipped_steps()) +
                                ", expected 0 to final_step " + std::to_string(request.final_step()));
  }
  const bool ends_early = request.has_stopped_early() && request.final_step() < end_step;
  if (request.final_step() != done || (!ends_early && done != end_step)) {
    refuse_state(record.job, rank + " has finished at step " + std::to_string(request.final_step()) + " with " +
                                 std::to_string(done) + " steps on record, expected " + std::to_string(end_step));
  }
  if (!training.stopped_early) return;
  if (training.stopped_early->SerializeAsString() == request.stopped_early().SerializeAsString()) return;
  refuse_state(record.job, rank + " has stopped early for another reason than the rank before it");
}

std::string ending_sentence(const Training& training) {
  const std::string steps = std::to_string(training.weights.next_step());
  std::string text;
  if (training.stopped_early) {
    const v1::EarlyStop& stop = *training.stopped_early;
    text = "stopped early at step " + steps + " of " + std::to_string(training.plan.end_step) + ": " +
           quoted_text(stop.metric()) + " has not become better than " + number_text(stop.best()) + " of step " +
           std::to_string(stop.best_step());
  }
  if (training.skipped_steps == 0) return text;
  return text + (text.empty() ? "" : "; ") + std::to_string(training.skipped_steps) + " of " + steps +
         " steps changed nothing, as a loss or the gradient was not finite";
}

void refuse_state(const v1::TrainingJob& job, const std::string& what) {
  throw Refusal(Refusal::Code::kFailedPrecondition,
                "job " + job.id() + " is " + state_name(job.state()) + " and " + what);
}

void check_generation(const v1::TrainingJob& job, std::int64_t generation) {
  if (generation == job.generation() && generation > 0) return;
  const std::string newest =
      job.generation() == 0 ? "it has none yet" : "its newest is " + std::to_string(job.generation());
  throw Refusal(Refusal::Code::kFailedPrecondition, ErrorReason::kStaleGeneration,
                "job " + job.id() + ": generation is " + std::to_string(generation) + ", but " + newest);
}

void check_not_cancelled(const v1::TrainingJob& job) {
  if (job.state() != v1::JOB_STATE_CANCELLING && job.state() != v1::JOB_STATE_CANCELLED) return;
  throw Refusal(Refusal::Code::kCancelled, "job " + job.id() + " is " + state_name(job.state()));
}

void check_not_final(const v1::TrainingJob& job) {
  const bool goes_on = job.state() == v1::JOB_STATE_RECOVERING || job.state() == v1::JOB_STATE_PAUSED;
  if (!is_final(job.state()) && !goes_on) return;
  throw Refusal(Refusal::Code::kFailedPrecondition, goes_on ? ErrorReason::kStaleGeneration : ErrorReason::kJobEnded,
                "job " + job.id() + " is " + state_name(job.state()) + ": " + job.state_reason());
}

void check_goes_on(const JobRecord& record) {
  if (!must_exit(record.intended())) return;
  v1::TrainingJob job;
  job.set_id(record.job.id());
  job.set_state(record.intended().state);
  job.set_state_reason(record.intended().reason);
  check_not_cancelled(job);
  check_not_final(job);
  throw Refusal(Refusal::Code::kFailedPrecondition, ErrorReason::kStaleGeneration,
                "job " + job.id() + " is " + state_name(job.state()) + ": " + job.state_reason());
}

void check_trains(const JobRecord& record) {
  check_not_final(record.job);
  if (record.training) return;
  check_goes_on(record);
  refuse_state(record.job, "has not started training");
}

bool must_exit(const JobLifecycle& job) {
  switch (job.state) {
    case v1::JOB_STATE_CANCELLING:
    case v1::JOB_STATE_CANCELLED:
    case v1::JOB_STATE_FAILED:
    case v1::JOB_STATE_RECOVERING:
    case v1::JOB_STATE_PAUSED:
      return true;
    case v1::JOB_STATE_PAUSING:
      return job.ends_processes;
    case v1::JOB_STATE_QUEUED:  // ranks of an attempt that is over
      return job.generation > 0 || !job.failures.empty();
    default:
      return false;
  }
}

}  // namespace equipoise::coordinator
