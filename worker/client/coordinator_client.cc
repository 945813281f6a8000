#include "worker/client/coordinator_client.h"

#include <grpcpp/grpcpp.h>

#include <thread>
#include <utility>

#include "common/base/error.h"

namespace equipoise {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kCallDeadline{30};
constexpr std::chrono::seconds kRetryWindow{30};
// A coordinator that restarts is back within a second or two: first retries are quick, later ones spare it.
constexpr std::chrono::milliseconds kFirstPause{50};
constexpr std::chrono::milliseconds kLongestPause{2000};

bool may_succeed_later(const grpc::Status& status) { return status.error_code() == grpc::StatusCode::UNAVAILABLE; }

[[noreturn]] void throw_status(const std::string& address, const char* call, const grpc::Status& status,
                               Clock::duration waited) {
  switch (status.error_code()) {
    case grpc::StatusCode::CANCELLED:
      throw AttemptEnded(status.error_message());
    case grpc::StatusCode::FAILED_PRECONDITION:
      if (std::string_view(call) != "RegisterWorker" && std::string_view(call) != "StartTraining") {
        throw AttemptEnded(status.error_message());
      }
      throw std::invalid_argument(status.error_message());
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::NOT_FOUND:
      throw std::invalid_argument(status.error_message());
    default: {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(waited).count();
      throw PeerError("coordinator " + address + ": " + call + " failed after " + std::to_string(seconds) +
                      " s: " + status.error_message());
    }
  }
}

}  // namespace

CoordinatorClient::CoordinatorClient(std::string address, std::chrono::seconds patience)
    : address_(std::move(address)) {
  grpc::ChannelArguments arguments;
  // The coordinator is on this cluster, whatever proxy the environment names for the web.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  const auto channel = grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + patience)) {
    throw std::invalid_argument("coordinator " + address_ + " did not answer within " +
                                std::to_string(patience.count()) +
                                " s; is equipoise-coordinator running there, and does its firewall admit this host?");
  }
  stub_ = v1::WorkerService::NewStub(channel);
}

template <typename Response, typename Request, typename Method>
Response CoordinatorClient::call(const char* name, Method method, const Request& request,
                                 std::chrono::seconds patience) {
  const auto start = Clock::now();
  auto pause = kFirstPause;
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    if (status.ok()) return response;
    if (!may_succeed_later(status) || Clock::now() - start + pause > patience) {
      throw_status(address_, name, status, Clock::now() - start);
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

v1::RegisterWorkerResponse CoordinatorClient::register_worker(const v1::RegisterWorkerRequest& request) {
  return call<v1::RegisterWorkerResponse>("RegisterWorker", &v1::WorkerService::Stub::RegisterWorker, request,
                                          kRetryWindow);
}

v1::StartTrainingResponse CoordinatorClient::start_training(const v1::StartTrainingRequest& request) {
  return call<v1::StartTrainingResponse>("StartTraining", &v1::WorkerService::Stub::StartTraining, request,
                                         kRetryWindow);
}

v1::ReportStepResponse CoordinatorClient::report_step(const v1::ReportStepRequest& request) {
  return call<v1::ReportStepResponse>("ReportStep", &v1::WorkerService::Stub::ReportStep, request, kRetryWindow);
}

v1::ReportStepsResponse CoordinatorClient::report_steps(const v1::ReportStepsRequest& request) {
  return call<v1::ReportStepsResponse>("ReportSteps", &v1::WorkerService::Stub::ReportSteps, request, kRetryWindow);
}

v1::GetGroupWeightsResponse CoordinatorClient::get_group_weights(const v1::GetGroupWeightsRequest& request) {
  return call<v1::GetGroupWeightsResponse>("GetGroupWeights", &v1::WorkerService::Stub::GetGroupWeights, request,
                                           kRetryWindow);
}

void CoordinatorClient::report_metrics(const v1::ReportMetricsRequest& request) {
  call<v1::ReportMetricsResponse>("ReportMetrics", &v1::WorkerService::Stub::ReportMetrics, request, kRetryWindow);
}

v1::HeartbeatResponse CoordinatorClient::heartbeat(const v1::HeartbeatRequest& request) {
  return call<v1::HeartbeatResponse>("Heartbeat", &v1::WorkerService::Stub::Heartbeat, request,
                                     std::chrono::seconds(0));
}

void CoordinatorClient::finish_worker(const v1::FinishWorkerRequest& request) {
  call<v1::FinishWorkerResponse>("FinishWorker", &v1::WorkerService::Stub::FinishWorker, request, kRetryWindow);
}

void CoordinatorClient::fail_worker(const v1::FailWorkerRequest& request) noexcept {
  try {
    call<v1::FailWorkerResponse>("FailWorker", &v1::WorkerService::Stub::FailWorker, request, kRetryWindow);
  } catch (const std::exception&) {
    // The launcher still sees the exit code.
  }
}

}  // namespace equipoise
