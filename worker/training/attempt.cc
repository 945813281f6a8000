#include "worker/training/attempt.h"

#include <c10/util/Exception.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <tuple>

#include "common/base/disk_fault.h"
#include "common/base/error.h"
#include "common/base/network_interfaces.h"
#include "worker/collective/broadcast.h"

namespace equipoise {
namespace {

template <typename Request>
Request request_of(const AttemptId& attempt) {
  Request request;
  request.set_job_id(attempt.job_id);
  request.set_generation(attempt.generation);
  return request;
}

void set_resume(const CheckpointManifest& checkpoint, v1::StartTrainingRequest& request) {
  v1::ResumePoint& resume = *request.mutable_resume();
  v1::WeightState& weights = *resume.mutable_weights();
  weights.set_steps(checkpoint.step);
  weights.mutable_log_alpha()->Add(checkpoint.weights.log_alpha_K.begin(), checkpoint.weights.log_alpha_K.end());
  weights.mutable_group_loss()->Add(checkpoint.weights.group_loss_K.begin(), checkpoint.weights.group_loss_K.end());
  v1::StepSizeState& step_size = *weights.mutable_step_size();
  step_size.set_step_size(checkpoint.weights.step_size.step_size);
  step_size.set_best(checkpoint.weights.step_size.best);
  step_size.set_waited(checkpoint.weights.step_size.waited);
  resume.set_job_id(checkpoint.job_id);
  resume.set_generation(checkpoint.generation);
  resume.set_manifest_digest(byte_text(manifest_digest(checkpoint)));
}

ScheduleState schedule_of(const v1::StepSizeState& state) {
  return {.step_size = state.step_size(), .best = state.best(), .waited = state.waited()};
}

void check_same_data(const GroupedData& data, const CheckpointManifest& checkpoint) {
  if (data.digest == checkpoint.dataset) return;
  throw std::invalid_argument("the training data or the tokenizer are not those that the checkpoint of step " +
                              std::to_string(checkpoint.step) +
                              " was trained with: put back the files of data.train and model.path");
}

// What decides the order of the pairs; the number of ranks does not.
void check_same_order(const ShardPlan& plan, const CheckpointManifest& checkpoint) {
  const auto order = [](const ShardPlan& p) {
    return std::tuple(p.seed, p.shuffle, p.num_pairs, p.global_batch_size, p.stratified, p.mixed);
  };
  if (order(plan) == order(checkpoint.plan) && plan.first_step == checkpoint.step) return;
  throw PeerError("the coordinator started the training at step " + std::to_string(plan.first_step) +
                  " or in another order of pairs than that of the checkpoint of step " +
                  std::to_string(checkpoint.step) + "; are coordinator and worker of one version?");
}

}  // namespace

Registration register_rank(CoordinatorClient& client, const std::string& job_id, const RankPlace& place,
                           HostCollective& host) {
  v1::RegisterWorkerRequest request;
  request.set_job_id(job_id);
  request.set_rank(place.info.rank);
  request.set_world_size(place.info.world_size);
  request.set_host(host_name());
  request.set_pid(getpid());
  request.set_device(place.device);
  if (const char* token = std::getenv("EQUIPOISE_ATTEMPT_TOKEN")) request.set_attempt_token(token);

  v1::RegisterWorkerResponse response;
  if (place.info.rank == 0) response = client.register_worker(request);
  std::int64_t generation = response.generation();
  host.broadcast(std::as_writable_bytes(std::span(&generation, 1)), 0);
  if (place.info.rank != 0) {
    request.set_generation(generation);
    response = client.register_worker(request);
  }
  return {
      .attempt = {.job_id = job_id, .generation = generation}, .spec = response.spec(), .is_fork = response.is_fork()};
}

StartedTraining start_training(CoordinatorClient& client, const AttemptId& attempt, const GroupedData& data,
                               HostCollective& host, const CheckpointManifest* checkpoint) {
  check_same_on_all_ranks(host, data.digest, "training data or tokenizer");
  if (checkpoint != nullptr) check_same_data(data, *checkpoint);
  v1::StartTrainingResponse answer;
  if (host.info().rank == 0) {
    auto request = request_of<v1::StartTrainingRequest>(attempt);
    for (const std::string& name : data.group_names) request.add_group_names(name);
    const auto& counted_K = data.counted.pair_count_K;
    request.mutable_group_pair_count()->Add(counted_K.begin(), counted_K.end());
    request.set_num_pairs(static_cast<std::int64_t>(data.counted.num_pairs));
    request.mutable_group_baseline()->Add(data.label_floor_K.begin(), data.label_floor_K.end());
    request.set_dataset_digest(byte_text(data.digest));
    if (checkpoint != nullptr) set_resume(*checkpoint, request);
    answer = client.start_training(request);
  }
  broadcast_message(answer, 0, host);
  if (static_cast<std::size_t>(answer.alpha_size()) != data.group_names.size()) {
    throw PeerError("the coordinator started the training with alpha of " + std::to_string(answer.alpha_size()) +
                    " groups, expected " + std::to_string(data.group_names.size()) +
                    "; are coordinator and worker of one version?");
  }
  const v1::ShardPlan& plan = answer.plan();
  StartedTraining started{.plan = {.seed = plan.seed(),
                                   .shuffle = plan.shuffle(),
                                   .num_pairs = plan.num_pairs(),
                                   .global_batch_size = plan.global_batch_size(),
                                   .world_size = plan.world_size(),
                                   .stratified = plan.stratified(),
                                   .mixed = plan.mixed(),
                                   .first_step = plan.first_step(),
                                   .end_step = plan.end_step()},
                          .log_alpha_K = {answer.log_alpha().begin(), answer.log_alpha().end()},
                          .group_loss_K = {answer.group_loss().begin(), answer.group_loss().end()},
                          .alpha_K = {answer.alpha().begin(), answer.alpha().end()},
                          .step_size = {},
                          .settings_changes = answer.settings_changes(),
                          .asked_evaluations = {answer.evaluation_steps().begin(), answer.evaluation_steps().end()},
                          .schedule_steps = plan.schedule_steps()};
  if (answer.has_step_size()) started.step_size = schedule_of(answer.step_size());
  if (checkpoint != nullptr) check_same_order(started.plan, *checkpoint);
  return started;
}

v1::ApplySettingsResponse apply_settings(CoordinatorClient& client, const AttemptId& attempt, std::int64_t steps_done,
                                         std::int64_t version) {
  auto request = request_of<v1::ApplySettingsRequest>(attempt);
  request.set_step(steps_done);
  request.set_version(version);
  return client.apply_settings(request);
}

GroupWeightsState weights_at_coordinator(CoordinatorClient& client, const AttemptId& attempt, std::int64_t steps_done) {
  const v1::GetGroupWeightsResponse answer = client.group_weights(request_of<v1::GetGroupWeightsRequest>(attempt));
  const v1::WeightState& state = answer.state();
  if (!answer.has_state() || state.steps() != steps_done) {
    throw PeerError("the coordinator has the weights of step " + std::to_string(state.steps()) + ", expected step " +
                    std::to_string(steps_done) + "; are coordinator and worker of one version?");
  }
  return {.log_alpha_K = {state.log_alpha().begin(), state.log_alpha().end()},
          .group_loss_K = {state.group_loss().begin(), state.group_loss().end()},
          .step_size = schedule_of(state.step_size())};
}

void finish_rank(CoordinatorClient& client, const AttemptId& attempt, int rank, const TrainingEnd& end,
                 std::array<std::byte, 32> state_digest, const std::optional<Digest>& ledger_chain) {
  auto request = request_of<v1::FinishWorkerRequest>(attempt);
  request.set_rank(rank);
  request.set_final_step(end.final_step);
  request.set_skipped_steps(end.skipped_steps);
  if (end.stopped_early) *request.mutable_stopped_early() = *end.stopped_early;
  request.set_state_digest(byte_text(state_digest));
  if (ledger_chain) request.set_ledger_chain(byte_text(*ledger_chain));
  client.finish_worker(request);
}

void leave_attempt(CoordinatorClient& client, const AttemptId& attempt, int rank, std::int64_t steps_done) {
  auto request = request_of<v1::LeaveWorkerRequest>(attempt);
  request.set_rank(rank);
  request.set_step(steps_done);
  client.leave_worker(request);
}

std::string failure_text(const std::exception& failure) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&failure);
  const std::string text = torch_error != nullptr ? torch_error->what_without_backtrace() : failure.what();
  return text.substr(0, text.find('\n'));
}

void report_failure(CoordinatorClient& client, const AttemptId& attempt, int rank, const std::exception& failure) {
  auto request = request_of<v1::FailWorkerRequest>(attempt);
  request.set_rank(rank);
  request.set_reason(failure_text(failure));
  if (dynamic_cast<const std::invalid_argument*>(&failure) != nullptr) {
    request.set_kind(v1::FAILURE_KIND_INVALID_INPUT);
  } else if (dynamic_cast<const PeerError*>(&failure) != nullptr ||
             dynamic_cast<const DiskFault*>(&failure) != nullptr ||
             dynamic_cast<const AttemptEnded*>(&failure) != nullptr) {
    // A rank that was told to end has no fault of its own.
    request.set_kind(v1::FAILURE_KIND_INFRASTRUCTURE);
  } else {
    request.set_kind(v1::FAILURE_KIND_PROGRAM);
  }
  client.fail_worker(request);
}

}  // namespace equipoise
