#include "coordinator/service/worker_service.h"

#include <type_traits>
#include <utility>

#include "common/protocol/attempt_token.h"

namespace equipoise::coordinator {
namespace {

// Two of each rank of the largest job: its heartbeat, and what it waits for.
constexpr PoolSize kPool{.threads = 4, .most_waiting = 65'536, .most_of_one = 32'768};

constexpr const char* kWorkerService = "equipoise.v1.WorkerService";

std::string attempt_token_of(const grpc::CallbackServerContext& context) {
  const auto token = context.client_metadata().find(kAttemptTokenMetadata);
  return token == context.client_metadata().end() ? "" : std::string(token->second.data(), token->second.size());
}

}  // namespace

// Ranks call again after UNAVAILABLE.
WorkerService::WorkerService(SharedController& shared, const AttemptTokens& tokens, CallGate& gate, JobMetrics& metrics)
    : shared_(shared),
      tokens_(tokens),
      boundary_(gate, metrics, "WorkerService"),
      pool_(kPool),
      calls_(pool_, Refusal::Code::kUnavailable) {}

template <typename Request, typename Response, typename Call>
void WorkerService::serve(UnaryCall<Request, Response>& rank, const std::string& token, Call call) const {
  calls_.serve(rank, {.bytes = rank.request.ByteSizeLong(),
                      .enter =
                          [&](const AdmittedCall& admitted) {
                            const std::string& job = rank.request.job_id();
                            if (admitted.is_of_stranger()) tokens_.check_stranger(job, token);
                            return job;
                          },
                      .body =
                          [this, &rank, call = std::move(call)](const AdmittedCall& /*admitted*/) {
                            const auto run = [&](JobController& core) {
                              return call(core.worker_calls(), rank.request);
                            };
                            if constexpr (std::is_void_v<std::invoke_result_t<decltype(run), JobController&>>) {
                              shared_.run(run);
                            } else {
                              rank.response = shared_.run(run);
                            }
                          }});
}

template <typename Request, typename Response, typename Call>
void WorkerService::add_signed(CallTable& calls, const char* method, Call call) {
  calls.add_unary<Request, Response>(kWorkerService, method, boundary_,
                                     [this, call](UnaryCall<Request, Response>& rank) {
                                       const std::string token = attempt_token_of(rank.context());
                                       serve(rank, token, [token, call](WorkerCalls& core, const Request& request) {
                                         core.check_token(request.job_id(), token);
                                         return call(core, request);
                                       });
                                     });
}

void WorkerService::add_to(CallTable& calls) {
  using Register = UnaryCall<v1::RegisterWorkerRequest, v1::RegisterWorkerResponse>;
  calls.add_unary<v1::RegisterWorkerRequest, v1::RegisterWorkerResponse>(
      kWorkerService, "RegisterWorker", boundary_, [this](Register& rank) {
        serve(rank, rank.request.attempt_token(), [](WorkerCalls& core, const v1::RegisterWorkerRequest& request) {
          return core.register_worker(request);
        });
      });
  add_signed<v1::StartTrainingRequest, v1::StartTrainingResponse>(
      calls, "StartTraining", [](WorkerCalls& core, const auto& request) { return core.start_training(request); });
  add_signed<v1::ReportStepRequest, v1::ReportStepResponse>(
      calls, "ReportStep", [](WorkerCalls& core, const auto& request) { return core.report_step(request); });
  add_signed<v1::ReportStepsRequest, v1::ReportStepsResponse>(
      calls, "ReportSteps", [](WorkerCalls& core, const auto& request) { return core.report_steps(request); });
  add_signed<v1::GetGroupWeightsRequest, v1::GetGroupWeightsResponse>(
      calls, "GetGroupWeights", [](WorkerCalls& core, const auto& request) { return core.group_weights(request); });
  add_signed<v1::ReportMetricsRequest, v1::ReportMetricsResponse>(
      calls, "ReportMetrics", [](WorkerCalls& core, const auto& request) { core.report_metrics(request); });
  add_signed<v1::CommitCheckpointRequest, v1::CommitCheckpointResponse>(
      calls, "CommitCheckpoint", [](WorkerCalls& core, const auto& request) { core.commit_checkpoint(request); });
  add_signed<v1::ApplySettingsRequest, v1::ApplySettingsResponse>(
      calls, "ApplySettings", [](WorkerCalls& core, const auto& request) { return core.apply_settings(request); });
  add_signed<v1::HeartbeatRequest, v1::HeartbeatResponse>(
      calls, "Heartbeat", [](WorkerCalls& core, const auto& request) { return core.heartbeat(request); });
  add_signed<v1::FinishWorkerRequest, v1::FinishWorkerResponse>(calls, "FinishWorker",
                                                                [this](WorkerCalls& core, const auto& request) {
                                                                  core.finish_worker(request);
                                                                  shared_.wake();
                                                                });
  add_signed<v1::LeaveWorkerRequest, v1::LeaveWorkerResponse>(calls, "LeaveWorker",
                                                              [this](WorkerCalls& core, const auto& request) {
                                                                core.leave_worker(request);
                                                                shared_.wake();
                                                              });
  add_signed<v1::FailWorkerRequest, v1::FailWorkerResponse>(calls, "FailWorker",
                                                            [this](WorkerCalls& core, const auto& request) {
                                                              core.fail_worker(request);
                                                              shared_.wake();
                                                            });
}

}  // namespace equipoise::coordinator
