// WorkerService over gRPC. Unpacks, calls, packs; decides nothing.
#pragma once

#include "coordinator/service/rpc_status.h"
#include "coordinator/service/shared_controller.h"
#include "equipoise/v1/worker.grpc.pb.h"

namespace equipoise::coordinator {

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
  grpc::Status Heartbeat(grpc::ServerContext* context, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override;
  grpc::Status FinishWorker(grpc::ServerContext* context, const v1::FinishWorkerRequest* request,
                            v1::FinishWorkerResponse* response) override;
  grpc::Status FailWorker(grpc::ServerContext* context, const v1::FailWorkerRequest* request,
                          v1::FailWorkerResponse* response) override;

 private:
  SharedController& shared_;
  RpcBoundary boundary_;
};

}  // namespace equipoise::coordinator
