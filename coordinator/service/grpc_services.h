// TrainingJobService and WorkerService over gRPC. They unpack, call and pack, and decide nothing.
#pragma once

#include "coordinator/service/rpc_status.h"
#include "coordinator/service/shared_controller.h"
#include "equipoise/v1/training.grpc.pb.h"
#include "equipoise/v1/worker.grpc.pb.h"

namespace equipoise::coordinator {

class TrainingJobService final : public v1::TrainingJobService::Service {
 public:
  // Both outlive it.
  TrainingJobService(SharedController& shared, JobMetrics& metrics);

  grpc::Status CreateTrainingJob(grpc::ServerContext* context, const v1::CreateTrainingJobRequest* request,
                                 v1::TrainingJob* response) override;
  grpc::Status GetTrainingJob(grpc::ServerContext* context, const v1::GetTrainingJobRequest* request,
                              v1::TrainingJob* response) override;
  grpc::Status ListTrainingJobs(grpc::ServerContext* context, const v1::ListTrainingJobsRequest* request,
                                v1::ListTrainingJobsResponse* response) override;
  grpc::Status WatchTrainingJob(grpc::ServerContext* context, const v1::WatchTrainingJobRequest* request,
                                grpc::ServerWriter<v1::TrainingJob>* writer) override;
  grpc::Status CancelTrainingJob(grpc::ServerContext* context, const v1::CancelTrainingJobRequest* request,
                                 v1::TrainingJob* response) override;
  grpc::Status PauseTrainingJob(grpc::ServerContext* context, const v1::PauseTrainingJobRequest* request,
                                v1::TrainingJob* response) override;
  grpc::Status ResumeTrainingJob(grpc::ServerContext* context, const v1::ResumeTrainingJobRequest* request,
                                 v1::TrainingJob* response) override;
  grpc::Status CheckpointTrainingJob(grpc::ServerContext* context, const v1::CheckpointTrainingJobRequest* request,
                                     v1::TrainingJob* response) override;
  grpc::Status EvaluateTrainingJob(grpc::ServerContext* context, const v1::EvaluateTrainingJobRequest* request,
                                   v1::TrainingJob* response) override;
  grpc::Status UpdateTrainingJob(grpc::ServerContext* context, const v1::UpdateTrainingJobRequest* request,
                                 v1::TrainingJob* response) override;
  grpc::Status ForkTrainingJob(grpc::ServerContext* context, const v1::ForkTrainingJobRequest* request,
                               v1::TrainingJob* response) override;
  grpc::Status DeleteTrainingJob(grpc::ServerContext* context, const v1::DeleteTrainingJobRequest* request,
                                 google::protobuf::Empty* response) override;
  grpc::Status ListGroupWeights(grpc::ServerContext* context, const v1::ListGroupWeightsRequest* request,
                                v1::ListGroupWeightsResponse* response) override;

 private:
  SharedController& shared_;
  RpcBoundary boundary_;
};

class WorkerService final : public v1::WorkerService::Service {
 public:
  // Both outlive it.
  WorkerService(SharedController& shared, JobMetrics& metrics);

  grpc::Status RegisterWorker(grpc::ServerContext* context, const v1::RegisterWorkerRequest* request,
                              v1::RegisterWorkerResponse* response) override;
  grpc::Status StartTraining(grpc::ServerContext* context, const v1::StartTrainingRequest* request,
                             v1::StartTrainingResponse* response) override;
  grpc::Status ReportStep(grpc::ServerContext* context, const v1::ReportStepRequest* request,
                          v1::ReportStepResponse* response) override;
  grpc::Status ReportSteps(grpc::ServerContext* context, const v1::ReportStepsRequest* request,
                           v1::ReportStepsResponse* response) override;
  grpc::Status GetGroupWeights(grpc::ServerContext* context, const v1::GetGroupWeightsRequest* request,
                               v1::GetGroupWeightsResponse* response) override;
  grpc::Status ReportMetrics(grpc::ServerContext* context, const v1::ReportMetricsRequest* request,
                             v1::ReportMetricsResponse* response) override;
  grpc::Status ApplySettings(grpc::ServerContext* context, const v1::ApplySettingsRequest* request,
                             v1::ApplySettingsResponse* response) override;
  grpc::Status CommitCheckpoint(grpc::ServerContext* context, const v1::CommitCheckpointRequest* request,
                                v1::CommitCheckpointResponse* response) override;
  grpc::Status Heartbeat(grpc::ServerContext* context, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override;
  grpc::Status FinishWorker(grpc::ServerContext* context, const v1::FinishWorkerRequest* request,
                            v1::FinishWorkerResponse* response) override;
  grpc::Status LeaveWorker(grpc::ServerContext* context, const v1::LeaveWorkerRequest* request,
                           v1::LeaveWorkerResponse* response) override;
  grpc::Status FailWorker(grpc::ServerContext* context, const v1::FailWorkerRequest* request,
                          v1::FailWorkerResponse* response) override;

 private:
  SharedController& shared_;
  RpcBoundary boundary_;
};

}  // namespace equipoise::coordinator
