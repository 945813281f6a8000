#include "coordinator/service/worker_service.h"

#include <type_traits>
#include <utility>

#include "common/protocol/attempt_token.h"

namespace equipoise::coordinator {
namespace {

// Two of each rank of the largest job: its heartbeat, and what it waits for.
constexpr PoolSize kPool{.threads = 4, .most_waiting = 65'536, .most_of_one = 32'768};

std::string attempt_token_of(const grpc::CallbackServerContext& context) {
  const auto token = context.client_metadata().find(kAttemptTokenMetadata);
  return token == context.client_metadata().end() ? "" : std::string(token->second.data(), token->second.size());
}

}  // namespace

// Ranks call again after UNAVAILABLE.
WorkerService::WorkerService(SharedController& shared, const AttemptTokens& tokens, CallGate& gate, JobMetrics& metrics)
    : shared_(shared),
      tokens_(tokens),
      pool_(kPool),
      calls_(RpcBoundary(gate, metrics, "WorkerService"), pool_, Refusal::Code::kUnavailable) {}

template <typename Request, typename Response, typename Call>
grpc::ServerUnaryReactor* WorkerService::serve(const RankContext& rank, const Request& request, Response& response,
                                               Call call) const {
  return calls_.serve(rank.context, rank.method,
                      {.bytes = request.ByteSizeLong(),
                       .enter =
                           [&](const AdmittedCall& admitted) {
                             if (admitted.is_of_stranger()) tokens_.check_stranger(request.job_id(), rank.token);
                             return request.job_id();
                           },
                       .body =
                           [this, &request, &response, call = std::move(call)](const AdmittedCall& /*admitted*/) {
                             if constexpr (std::is_void_v<std::invoke_result_t<const Call&, WorkerCalls&>>) {
                               shared_.run([&](JobController& core) { call(core.worker_calls()); });
                             } else {
                               response = shared_.run([&](JobController& core) { return call(core.worker_calls()); });
                             }
                           }});
}

// Alone on the core; refused before anything is looked at where the token is not that of the attempt.
template <typename Request, typename Response, typename Call>
grpc::ServerUnaryReactor* WorkerService::serve_signed(grpc::CallbackServerContext& context, const char* method,
                                                      const Request& request, Response& response, Call call) const {
  std::string token = attempt_token_of(context);
  return serve({.context = context, .method = method, .token = token}, request, response,
               [&request, token, call = std::move(call)](WorkerCalls& calls) {
                 calls.check_token(request.job_id(), token);
                 return call(calls);
               });
}

grpc::ServerUnaryReactor* WorkerService::RegisterWorker(grpc::CallbackServerContext* context,
                                                        const v1::RegisterWorkerRequest* request,
                                                        v1::RegisterWorkerResponse* response) {
  return serve({.context = *context, .method = "RegisterWorker", .token = request->attempt_token()}, *request,
               *response, [request](WorkerCalls& calls) { return calls.register_worker(*request); });
}

grpc::ServerUnaryReactor* WorkerService::StartTraining(grpc::CallbackServerContext* context,
                                                       const v1::StartTrainingRequest* request,
                                                       v1::StartTrainingResponse* response) {
  return serve_signed(*context, "StartTraining", *request, *response,
                      [request](WorkerCalls& calls) { return calls.start_training(*request); });
}

grpc::ServerUnaryReactor* WorkerService::ReportStep(grpc::CallbackServerContext* context,
                                                    const v1::ReportStepRequest* request,
                                                    v1::ReportStepResponse* response) {
  return serve_signed(*context, "ReportStep", *request, *response,
                      [request](WorkerCalls& calls) { return calls.report_step(*request); });
}

grpc::ServerUnaryReactor* WorkerService::ReportSteps(grpc::CallbackServerContext* context,
                                                     const v1::ReportStepsRequest* request,
                                                     v1::ReportStepsResponse* response) {
  return serve_signed(*context, "ReportSteps", *request, *response,
                      [request](WorkerCalls& calls) { return calls.report_steps(*request); });
}

grpc::ServerUnaryReactor* WorkerService::GetGroupWeights(grpc::CallbackServerContext* context,
                                                         const v1::GetGroupWeightsRequest* request,
                                                         v1::GetGroupWeightsResponse* response) {
  return serve_signed(*context, "GetGroupWeights", *request, *response,
                      [request](WorkerCalls& calls) { return calls.group_weights(*request); });
}

grpc::ServerUnaryReactor* WorkerService::ReportMetrics(grpc::CallbackServerContext* context,
                                                       const v1::ReportMetricsRequest* request,
                                                       v1::ReportMetricsResponse* response) {
  return serve_signed(*context, "ReportMetrics", *request, *response,
                      [request](WorkerCalls& calls) { calls.report_metrics(*request); });
}

grpc::ServerUnaryReactor* WorkerService::CommitCheckpoint(grpc::CallbackServerContext* context,
                                                          const v1::CommitCheckpointRequest* request,
                                                          v1::CommitCheckpointResponse* response) {
  return serve_signed(*context, "CommitCheckpoint", *request, *response,
                      [request](WorkerCalls& calls) { calls.commit_checkpoint(*request); });
}

grpc::ServerUnaryReactor* WorkerService::ApplySettings(grpc::CallbackServerContext* context,
                                                       const v1::ApplySettingsRequest* request,
                                                       v1::ApplySettingsResponse* response) {
  return serve_signed(*context, "ApplySettings", *request, *response,
                      [request](WorkerCalls& calls) { return calls.apply_settings(*request); });
}

grpc::ServerUnaryReactor* WorkerService::Heartbeat(grpc::CallbackServerContext* context,
                                                   const v1::HeartbeatRequest* request,
                                                   v1::HeartbeatResponse* response) {
  return serve_signed(*context, "Heartbeat", *request, *response,
                      [request](WorkerCalls& calls) { return calls.heartbeat(*request); });
}

grpc::ServerUnaryReactor* WorkerService::FinishWorker(grpc::CallbackServerContext* context,
                                                      const v1::FinishWorkerRequest* request,
                                                      v1::FinishWorkerResponse* response) {
  return serve_signed(*context, "FinishWorker", *request, *response, [this, request](WorkerCalls& calls) {
    calls.finish_worker(*request);
    shared_.wake();
  });
}

grpc::ServerUnaryReactor* WorkerService::LeaveWorker(grpc::CallbackServerContext* context,
                                                     const v1::LeaveWorkerRequest* request,
                                                     v1::LeaveWorkerResponse* response) {
  return serve_signed(*context, "LeaveWorker", *request, *response, [this, request](WorkerCalls& calls) {
    calls.leave_worker(*request);
    shared_.wake();
  });
}

grpc::ServerUnaryReactor* WorkerService::FailWorker(grpc::CallbackServerContext* context,
                                                    const v1::FailWorkerRequest* request,
                                                    v1::FailWorkerResponse* response) {
  return serve_signed(*context, "FailWorker", *request, *response, [this, request](WorkerCalls& calls) {
    calls.fail_worker(*request);
    shared_.wake();
  });
}

}  // namespace equipoise::coordinator
