// WorkerService over gRPC. It unpacks, calls and packs, and decides nothing.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <string>

#include "coordinator/job/attempt_tokens.h"
#include "coordinator/service/pooled_calls.h"
#include "coordinator/service/shared_controller.h"
#include "equipoise/v1/worker.grpc.pb.h"

namespace equipoise::coordinator {

// However many ranks call, threads are those of one pool: they wait for the core one after the other in any case. Jobs
// take turns.
class WorkerService final : public v1::WorkerService::CallbackService {
 public:
  // All outlive it.
  WorkerService(SharedController& shared, const AttemptTokens& tokens, CallGate& gate, JobMetrics& metrics);

  grpc::ServerUnaryReactor* RegisterWorker(grpc::CallbackServerContext* context,
                                           const v1::RegisterWorkerRequest* request,
                                           v1::RegisterWorkerResponse* response) override;
  grpc::ServerUnaryReactor* StartTraining(grpc::CallbackServerContext* context, const v1::StartTrainingRequest* request,
                                          v1::StartTrainingResponse* response) override;
  grpc::ServerUnaryReactor* ReportStep(grpc::CallbackServerContext* context, const v1::ReportStepRequest* request,
                                       v1::ReportStepResponse* response) override;
  grpc::ServerUnaryReactor* ReportSteps(grpc::CallbackServerContext* context, const v1::ReportStepsRequest* request,
                                        v1::ReportStepsResponse* response) override;
  grpc::ServerUnaryReactor* GetGroupWeights(grpc::CallbackServerContext* context,
                                            const v1::GetGroupWeightsRequest* request,
                                            v1::GetGroupWeightsResponse* response) override;
  grpc::ServerUnaryReactor* ReportMetrics(grpc::CallbackServerContext* context, const v1::ReportMetricsRequest* request,
                                          v1::ReportMetricsResponse* response) override;
  grpc::ServerUnaryReactor* CommitCheckpoint(grpc::CallbackServerContext* context,
                                             const v1::CommitCheckpointRequest* request,
                                             v1::CommitCheckpointResponse* response) override;
  grpc::ServerUnaryReactor* ApplySettings(grpc::CallbackServerContext* context, const v1::ApplySettingsRequest* request,
                                          v1::ApplySettingsResponse* response) override;
  grpc::ServerUnaryReactor* Heartbeat(grpc::CallbackServerContext* context, const v1::HeartbeatRequest* request,
                                      v1::HeartbeatResponse* response) override;
  grpc::ServerUnaryReactor* FinishWorker(grpc::CallbackServerContext* context, const v1::FinishWorkerRequest* request,
                                         v1::FinishWorkerResponse* response) override;
  grpc::ServerUnaryReactor* LeaveWorker(grpc::CallbackServerContext* context, const v1::LeaveWorkerRequest* request,
                                        v1::LeaveWorkerResponse* response) override;
  grpc::ServerUnaryReactor* FailWorker(grpc::CallbackServerContext* context, const v1::FailWorkerRequest* request,
                                       v1::FailWorkerResponse* response) override;

 private:
  struct RankContext {
    grpc::CallbackServerContext& context;
    const char* method;
    const std::string& token;  // of the attempt, as the rank says
  };
  template <typename Request, typename Response, typename Call>
  grpc::ServerUnaryReactor* serve(const RankContext& rank, const Request& request, Response& response, Call call) const;
  template <typename Request, typename Response, typename Call>
  grpc::ServerUnaryReactor* serve_signed(grpc::CallbackServerContext& context, const char* method,
                                         const Request& request, Response& response, Call call) const;

  SharedController& shared_;
  const AttemptTokens& tokens_;
  CallPool pool_;
  const PooledCalls calls_;
};

}  // namespace equipoise::coordinator
