#include "coordinator/service/grpc_services.h"

#include "common/protocol/attempt_token.h"
#include "common/protocol/job_state.h"

namespace equipoise::coordinator {
namespace {

// Until the job is final or the client has left.
void stream_changes(SharedController& shared, const std::string& id, const grpc::ServerContext& context,
                    grpc::ServerWriter<v1::TrainingJob>& writer) {
  SharedController::Watcher watcher(shared);
  std::int64_t seen = 0;
  while (!context.IsCancelled()) {
    const auto job = watcher.next(id, seen);
    if (!job) continue;
    if (!writer.Write(*job) || is_final(job->state())) return;
    seen = job->revision();
    watcher.pause();
  }
}

std::string attempt_token_of(const grpc::ServerContext& context) {
  const auto token = context.client_metadata().find(kAttemptTokenMetadata);
  return token == context.client_metadata().end() ? "" : std::string(token->second.data(), token->second.size());
}

// A call of a rank, alone on the core; refused before anything is looked at where its token is not that of the attempt.
template <typename Request, typename Call>
auto run_for_rank(SharedController& shared, const grpc::ServerContext& context, const Request& request,
                  const Call& call) {
  const std::string token = attempt_token_of(context);
  return shared.run([&](JobController& core) {
    core.worker_calls().check_token(request.job_id(), token);
    return call(core.worker_calls());
  });
}

}  // namespace

TrainingJobService::TrainingJobService(SharedController& shared, JobMetrics& metrics)
    : shared_(shared), boundary_(metrics, "TrainingJobService") {}

grpc::Status TrainingJobService::CreateTrainingJob(grpc::ServerContext* /*context*/,
                                                   const v1::CreateTrainingJobRequest* request,
                                                   v1::TrainingJob* response) {
  return boundary_.answer("CreateTrainingJob", [&] {
    *response = shared_.run([&](JobController& core) { return core.training_jobs().create(*request); });
    shared_.wake();
  });
}

grpc::Status TrainingJobService::GetTrainingJob(grpc::ServerContext* /*context*/,
                                                const v1::GetTrainingJobRequest* request, v1::TrainingJob* response) {
  return boundary_.answer("GetTrainingJob", [&] {
    *response = shared_.read([&](JobController& core) { return core.training_jobs().get(request->id()); });
  });
}

grpc::Status TrainingJobService::ListTrainingJobs(grpc::ServerContext* /*context*/,
                                                  const v1::ListTrainingJobsRequest* request,
                                                  v1::ListTrainingJobsResponse* response) {
  return boundary_.answer("ListTrainingJobs", [&] {
    *response = shared_.read([&](JobController& core) { return core.training_jobs().list(*request); });
  });
}

grpc::Status TrainingJobService::WatchTrainingJob(grpc::ServerContext* context,
                                                  const v1::WatchTrainingJobRequest* request,
                                                  grpc::ServerWriter<v1::TrainingJob>* writer) {
  return boundary_.answer("WatchTrainingJob", [&] { stream_changes(shared_, request->id(), *context, *writer); });
}

grpc::Status TrainingJobService::CancelTrainingJob(grpc::ServerContext* /*context*/,
                                                   const v1::CancelTrainingJobRequest* request,
                                                   v1::TrainingJob* response) {
  return boundary_.answer("CancelTrainingJob", [&] {
    *response = shared_.run([&](JobController& core) { return core.training_jobs().cancel(request->id()); });
    shared_.wake();
  });
}

grpc::Status TrainingJobService::PauseTrainingJob(grpc::ServerContext* /*context*/,
                                                  const v1::PauseTrainingJobRequest* request,
                                                  v1::TrainingJob* response) {
  return boundary_.answer("PauseTrainingJob", [&] {
    *response = shared_.run([&](JobController& core) { return core.training_jobs().pause(request->id()); });
    shared_.wake();
  });
}

grpc::Status TrainingJobService::ResumeTrainingJob(grpc::ServerContext* /*context*/,
                                                   const v1::ResumeTrainingJobRequest* request,
                                                   v1::TrainingJob* response) {
  return boundary_.answer("ResumeTrainingJob", [&] {
    *response = shared_.run([&](JobController& core) { return core.training_jobs().resume(request->id()); });
    shared_.wake();
  });
}

grpc::Status TrainingJobService::CheckpointTrainingJob(grpc::ServerContext* /*context*/,
                                                       const v1::CheckpointTrainingJobRequest* request,
                                                       v1::TrainingJob* response) {
  return boundary_.answer("CheckpointTrainingJob", [&] {
    *response = shared_.run([&](JobController& core) { return core.training_jobs().checkpoint(request->id()); });
    shared_.wake();
  });
}

grpc::Status TrainingJobService::EvaluateTrainingJob(grpc::ServerContext* /*context*/,
                                                     const v1::EvaluateTrainingJobRequest* request,
                                                     v1::TrainingJob* response) {
  return boundary_.answer("EvaluateTrainingJob", [&] {
    *response = shared_.run([&](JobController& core) { return core.training_jobs().evaluate(request->id()); });
    shared_.wake();
  });
}

grpc::Status TrainingJobService::UpdateTrainingJob(grpc::ServerContext* /*context*/,
                                                   const v1::UpdateTrainingJobRequest* request,
                                                   v1::TrainingJob* response) {
  return boundary_.answer("UpdateTrainingJob", [&] {
    *response = shared_.run([&](JobController& core) { return core.training_jobs().update(*request); });
    shared_.wake();
  });
}

grpc::Status TrainingJobService::ForkTrainingJob(grpc::ServerContext* /*context*/,
                                                 const v1::ForkTrainingJobRequest* request, v1::TrainingJob* response) {
  return boundary_.answer("ForkTrainingJob", [&] {
    *response = shared_.run([&](JobController& core) { return core.training_jobs().fork(*request); });
    shared_.wake();
  });
}

grpc::Status TrainingJobService::DeleteTrainingJob(grpc::ServerContext* /*context*/,
                                                   const v1::DeleteTrainingJobRequest* request,
                                                   google::protobuf::Empty* /*response*/) {
  return boundary_.answer("DeleteTrainingJob", [&] {
    shared_.run([&](JobController& core) { core.training_jobs().remove(request->id()); });
  });
}

grpc::Status TrainingJobService::ListGroupWeights(grpc::ServerContext* /*context*/,
                                                  const v1::ListGroupWeightsRequest* request,
                                                  v1::ListGroupWeightsResponse* response) {
  return boundary_.answer("ListGroupWeights", [&] {
    *response = shared_.read([&](JobController& core) { return core.training_jobs().group_weights(*request); });
  });
}

WorkerService::WorkerService(SharedController& shared, JobMetrics& metrics)
    : shared_(shared), boundary_(metrics, "WorkerService") {}

grpc::Status WorkerService::RegisterWorker(grpc::ServerContext* /*context*/, const v1::RegisterWorkerRequest* request,
                                           v1::RegisterWorkerResponse* response) {
  return boundary_.answer("RegisterWorker", [&] {
    *response = shared_.run([&](JobController& core) { return core.worker_calls().register_worker(*request); });
  });
}

grpc::Status WorkerService::StartTraining(grpc::ServerContext* context, const v1::StartTrainingRequest* request,
                                          v1::StartTrainingResponse* response) {
  return boundary_.answer("StartTraining", [&] {
    *response =
        run_for_rank(shared_, *context, *request, [&](WorkerCalls& calls) { return calls.start_training(*request); });
  });
}

grpc::Status WorkerService::ReportStep(grpc::ServerContext* context, const v1::ReportStepRequest* request,
                                       v1::ReportStepResponse* response) {
  return boundary_.answer("ReportStep", [&] {
    *response =
        run_for_rank(shared_, *context, *request, [&](WorkerCalls& calls) { return calls.report_step(*request); });
  });
}

grpc::Status WorkerService::ReportSteps(grpc::ServerContext* context, const v1::ReportStepsRequest* request,
                                        v1::ReportStepsResponse* response) {
  return boundary_.answer("ReportSteps", [&] {
    *response =
        run_for_rank(shared_, *context, *request, [&](WorkerCalls& calls) { return calls.report_steps(*request); });
  });
}

grpc::Status WorkerService::GetGroupWeights(grpc::ServerContext* context, const v1::GetGroupWeightsRequest* request,
                                            v1::GetGroupWeightsResponse* response) {
  return boundary_.answer("GetGroupWeights", [&] {
    *response =
        run_for_rank(shared_, *context, *request, [&](WorkerCalls& calls) { return calls.group_weights(*request); });
  });
}

grpc::Status WorkerService::ReportMetrics(grpc::ServerContext* context, const v1::ReportMetricsRequest* request,
                                          v1::ReportMetricsResponse* /*response*/) {
  return boundary_.answer("ReportMetrics", [&] {
    run_for_rank(shared_, *context, *request, [&](WorkerCalls& calls) { calls.report_metrics(*request); });
  });
}

grpc::Status WorkerService::ApplySettings(grpc::ServerContext* context, const v1::ApplySettingsRequest* request,
                                          v1::ApplySettingsResponse* response) {
  return boundary_.answer("ApplySettings", [&] {
    *response =
        run_for_rank(shared_, *context, *request, [&](WorkerCalls& calls) { return calls.apply_settings(*request); });
  });
}

grpc::Status WorkerService::CommitCheckpoint(grpc::ServerContext* context, const v1::CommitCheckpointRequest* request,
                                             v1::CommitCheckpointResponse* /*response*/) {
  return boundary_.answer("CommitCheckpoint", [&] {
    run_for_rank(shared_, *context, *request, [&](WorkerCalls& calls) { calls.commit_checkpoint(*request); });
  });
}

grpc::Status WorkerService::Heartbeat(grpc::ServerContext* context, const v1::HeartbeatRequest* request,
                                      v1::HeartbeatResponse* response) {
  return boundary_.answer("Heartbeat", [&] {
    *response =
        run_for_rank(shared_, *context, *request, [&](WorkerCalls& calls) { return calls.heartbeat(*request); });
  });
}

grpc::Status WorkerService::FinishWorker(grpc::ServerContext* context, const v1::FinishWorkerRequest* request,
                                         v1::FinishWorkerResponse* /*response*/) {
  return boundary_.answer("FinishWorker", [&] {
    run_for_rank(shared_, *context, *request, [&](WorkerCalls& calls) { calls.finish_worker(*request); });
    shared_.wake();
  });
}

grpc::Status WorkerService::LeaveWorker(grpc::ServerContext* context, const v1::LeaveWorkerRequest* request,
                                        v1::LeaveWorkerResponse* /*response*/) {
  return boundary_.answer("LeaveWorker", [&] {
    run_for_rank(shared_, *context, *request, [&](WorkerCalls& calls) { calls.leave_worker(*request); });
    shared_.wake();
  });
}

grpc::Status WorkerService::FailWorker(grpc::ServerContext* context, const v1::FailWorkerRequest* request,
                                       v1::FailWorkerResponse* /*response*/) {
  return boundary_.answer("FailWorker", [&] {
    run_for_rank(shared_, *context, *request, [&](WorkerCalls& calls) { calls.fail_worker(*request); });
    shared_.wake();
  });
}

}  // namespace equipoise::coordinator
