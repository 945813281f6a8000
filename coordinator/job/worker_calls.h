// What ranks ask of the coordinator. One function for each RPC of WorkerService; the codes are those of worker.proto,
// as std::invalid_argument, Refusal and StoreError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "coordinator/job/job_table.h"
#include "coordinator/job/step_history.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// Not thread-safe. Heartbeats without warnings and training metrics touch memory only; a step is one commit.
class WorkerCalls {
 public:
  WorkerCalls(JobTable& table, LeaseSettings lease, std::int64_t most_history_bytes = kMostHistoryBytes)
      : table_(table), lease_(lease), most_history_bytes_(most_history_bytes) {}

  // Before every other call: throws Refusal kPermissionDenied where the coordinator launched the job and `token` is not
  // that of its attempt. A job of an earlier life of this coordinator has ended and has no token any more: what its
  // ranks say changes nothing, and they are told to end.
  void check_token(const std::string& job_id, const std::string& token);

  v1::RegisterWorkerResponse register_worker(const v1::RegisterWorkerRequest& request);
  v1::StartTrainingResponse start_training(const v1::StartTrainingRequest& request);
  v1::ReportStepResponse report_step(const v1::ReportStepRequest& request);
  v1::ReportStepsResponse report_steps(const v1::ReportStepsRequest& request);
  v1::GetGroupWeightsResponse group_weights(const v1::GetGroupWeightsRequest& request);
  void commit_checkpoint(const v1::CommitCheckpointRequest& request);
  v1::ApplySettingsResponse apply_settings(const v1::ApplySettingsRequest& request);
  void report_metrics(const v1::ReportMetricsRequest& request);
  v1::HeartbeatResponse heartbeat(const v1::HeartbeatRequest& request);
  void finish_worker(const v1::FinishWorkerRequest& request);
  void leave_worker(const v1::LeaveWorkerRequest& request);
  void fail_worker(const v1::FailWorkerRequest& request);

 private:
  // The job, if `generation` is its newest; throws Refusal kFailedPrecondition otherwise.
  JobRecord& fenced(const std::string& job_id, std::int64_t generation);
  void begin_external_attempt(JobRecord& record, const v1::RegisterWorkerRequest& request);
  // The step as it is on record, if it is; throws Refusal kAborted where it has other numbers. `history`: for all steps
  // of one call, made with the first that is on record.
  std::optional<StepRecord> known_step(const JobRecord& record, const v1::ReportStepRequest& request,
                                       std::optional<StepHistory>& history);
  // Warns of a history that grows long, and thins the oldest part of one that is too long: some steps for each that was
  // added.
  std::int64_t first_step_to_keep(const JobRecord& record);
  void bound_history(JobRecord& record, std::size_t added);
  void observe_updates(const JobRecord& record, SteadyTime begin, std::size_t steps);
  void note_skip(JobRecord& record, const v1::ReportStepRequest& request);
  void note_pause_failure(JobRecord& record, const v1::HeartbeatRequest& request);
  void note_progress(JobRecord& record, const v1::HeartbeatRequest& request);
  void note_warnings(JobRecord& record, const v1::HeartbeatRequest& request);
  // They were stored just now; at least one.
  void show_steps(JobRecord& record, std::span<const StepRecord> steps);
  void mark_left(JobRecord& record, int rank);
  // Of an attempt that was taken over: who knows its token is the rank that it says.
  void readmit(JobRecord& record, int rank);
  // For the next coordinator; what cannot be stored costs it the attempt, and nothing now.
  // To an earlier coordinator, which could not answer any more, of an attempt that is over with it.
  bool has_said(const JobRecord& record, const FinishedRank& last);
  void end_of_all_ranks(JobRecord& record);
  void keep_end(const JobRecord& record, const FinishedRank& rank);

  JobTable& table_;
  const LeaseSettings lease_;
  const std::int64_t most_history_bytes_;  // of the steps of one job
};

}  // namespace equipoise::coordinator
