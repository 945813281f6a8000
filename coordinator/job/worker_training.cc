// How an attempt's training begins and what it goes on from: StartTraining, CommitCheckpoint, GetGroupWeights.
#include <algorithm>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/base/sha256.h"
#include "coordinator/job/job_fork.h"
#include "coordinator/job/job_progress.h"
#include "coordinator/job/lineage_check.h"
#include "coordinator/job/live_settings.h"
#include "coordinator/job/refusal.h"
#include "coordinator/job/state_check.h"
#include "coordinator/job/worker_calls.h"

namespace equipoise::coordinator {
namespace {

constexpr int kMostRemovedSteps = 1024;
constexpr std::size_t kCheckpointDigestBytes = 32;

// Rank 0 starts once all ranks have read the same data: a rank that is missing is none of this job's.
void check_all_registered(const JobRecord& record) {
  const auto missing = record.members->missing();
  if (missing.empty()) return;
  if (record.is_taken_over) {  // they say so with their next heartbeat
    throw Refusal(Refusal::Code::kUnavailable, ErrorReason::kWrongState,
                  "job " + record.job.id() + ": this coordinator has not heard of rank " +
                      std::to_string(missing.front()) + " yet");
  }
  const int world_size = record.members->world_size();
  refuse_state(record.job, "has " + std::to_string(static_cast<std::size_t>(world_size) - missing.size()) + " of " +
                               std::to_string(world_size) + " ranks that have registered; the first that has not is " +
                               std::to_string(missing.front()));
}

// What earlier attempts have said of the groups stays: the evaluation before the first step is made once.
void show_groups(v1::TrainingJob& job, const WeightOwner& weights) {
  const GroupTable& groups = weights.groups();
  const bool are_known =
      std::ranges::equal(job.groups(), groups.names, {}, [](const auto& group) { return group.name(); });
  if (are_known) {
    set_weights(job, weights.alpha_K());
  } else {
    set_groups(job, groups, weights.alpha_K());
  }
}

void show_start(v1::TrainingJob& job, const Training& training) {
  const v1::StartTrainingRequest& request = training.stored.request;
  job.set_step(training.plan.first_step);
  job.set_total_steps(training.plan.end_step);
  rewind_requests(job, training.plan.first_step);
  show_groups(job, training.weights);
  set_time_left(job, training);
  if (request.has_resume() && request.resume().job_id() == job.id()) {
    job.set_checkpoint_step(training.plan.first_step);
  } else {
    job.clear_checkpoint_step();
  }
}

void check_commit(const v1::CommitCheckpointRequest& request) {
  if (request.step() < 0) {
    throw std::invalid_argument("step is " + std::to_string(request.step()) + ", expected >= 0");
  }
  if (request.manifest_digest().size() != kCheckpointDigestBytes) {
    throw std::invalid_argument("manifest_digest has " + std::to_string(request.manifest_digest().size()) +
                                " bytes, expected " + std::to_string(kCheckpointDigestBytes));
  }
  if (request.bytes() < 1) {
    throw std::invalid_argument("bytes is " + std::to_string(request.bytes()) + ", expected >= 1");
  }
  if (request.has_duration() && (request.duration().seconds() < 0 || request.duration().nanos() < 0)) {
    throw std::invalid_argument("duration is negative, expected the time that it took to write the checkpoint");
  }
  if (request.removed_steps_size() > kMostRemovedSteps) {
    throw std::invalid_argument("removed_steps has " + std::to_string(request.removed_steps_size()) +
                                " steps, expected at most " + std::to_string(kMostRemovedSteps));
  }
  for (int i = 0; i < request.removed_steps_size(); ++i) {
    const std::int64_t removed = request.removed_steps(i);
    if (removed >= 0 && removed != request.step()) continue;
    throw std::invalid_argument("removed_steps[" + std::to_string(i) + "] is " + std::to_string(removed) +
                                ", expected a step >= 0 that is not the new checkpoint's");
  }
}

// `record` is training.
void check_is_on_record(const JobRecord& record, std::int64_t step) {
  const std::int64_t first = record.training->plan.first_step, done = record.training->weights.next_step();
  if (step <= first) {
    refuse_state(record.job, "its attempt has begun at step " + std::to_string(first) + ", so the checkpoint of step " +
                                 std::to_string(step) + " is not of its steps");
  }
  if (step <= done) return;
  throw Refusal(Refusal::Code::kOutOfRange, "job " + record.job.id() + ": step is " + std::to_string(step) +
                                                ", expected at most the " + std::to_string(done) +
                                                " steps that are on record");
}

}  // namespace

v1::StartTrainingResponse WorkerCalls::start_training(const v1::StartTrainingRequest& request) {
  JobRecord& record = fenced(request.job_id(), request.generation());
  check_not_cancelled(record.job);
  if (record.training && record.training->stored.request.SerializeAsString() == request.SerializeAsString()) {
    return record.training->stored.response;
  }
  check_not_final(record.job);
  check_goes_on(record);
  check_start_training(request);
  if (record.training) refuse_state(record.job, "is training on another dataset already");
  readmit(record, 0);
  if (!record.members || !record.members->has(0)) refuse_state(record.job, "has no rank 0 that has registered");
  check_all_registered(record);
  const JobConfig& config = record.checked_config();
  check_same_data(table_.store(), record.job, request);
  SettingsChanges changes = record.job.settings_changes();
  take_effect(changes, request.resume().weights().steps(), newest_version(changes));
  Training training = begin_training(config, request, record.members->world_size(), changes);
  const auto evaluations = evaluations_to_make(record.job, training.plan.first_step, training.plan.end_step);
  training.stored.response.mutable_evaluation_steps()->Assign(evaluations.begin(), evaluations.end());
  check_lineage(table_.store(), config, record.job, request);
  record.most_steps = std::max(record.most_steps, record.job.step());
  const TrainingStarted started{.total_steps = training.plan.end_step,
                                .world_size = training.plan.world_size,
                                .first_step = training.plan.first_step};
  const auto edit = [&](v1::TrainingJob& job) {
    *job.mutable_settings_changes() = changes;
    show_start(job, training);
  };
  const auto save = [&](const v1::TrainingJob& job) {
    const std::string& checkpoint = request.resume().manifest_digest();
    table_.store().start_training(job, training.stored, hex_text(std::as_bytes(std::span(checkpoint))));
  };
  table_.apply(record, started, edit, save);
  record.training.emplace(std::move(training));
  table_.metrics().show_step(record.job);
  table_.metrics().show_checkpoint(record.job);
  return record.training->stored.response;
}

void WorkerCalls::commit_checkpoint(const v1::CommitCheckpointRequest& request) {
  JobRecord& record = fenced(request.job_id(), request.generation());
  check_not_cancelled(record.job);
  check_not_final(record.job);
  check_goes_on(record);
  check_commit(request);
  check_trains(record);
  check_is_on_record(record, request.step());
  table_.check_room();
  v1::TrainingJob job = record.job;
  const bool is_first = !job.has_checkpoint_step();
  const bool is_new = is_first || job.checkpoint_step() < request.step();
  if (is_new) {
    job.set_checkpoint_step(request.step());
    answer_checkpoint_requests(job, request.step());
    job.set_revision(job.revision() + 1);
  }
  table_.store().commit_checkpoint(job,
                                   {.step = request.step(),
                                    .generation = request.generation(),
                                    .manifest_digest = request.manifest_digest(),
                                    .bytes = request.bytes()},
                                   {request.removed_steps().begin(), request.removed_steps().end()});
  if (!is_new) return;  // its answer was lost
  record.job = std::move(job);
  table_.note_change(record.job.id());
  record.lifecycle.failures.clear();  // what was lost before is paid for
  table_.metrics().show_checkpoint(record.job);
  table_.metrics().count_checkpoint(request, table_.clock().wall());
  // From now on it goes on from its own.
  if (is_first && !record.job.parent_id().empty()) {
    remove_links(table_.errands(), record.checked_config());
  }
}

v1::GetGroupWeightsResponse WorkerCalls::group_weights(const v1::GetGroupWeightsRequest& request) {
  const JobRecord& record = fenced(request.job_id(), request.generation());
  check_not_cancelled(record.job);
  check_trains(record);
  v1::GetGroupWeightsResponse response;
  response.set_steps(record.training->weights.next_step());
  const auto alpha_K = record.training->weights.alpha_K();
  response.mutable_alpha()->Add(alpha_K.begin(), alpha_K.end());
  *response.mutable_state() = record.training->weights.state();
  return response;
}

}  // namespace equipoise::coordinator
