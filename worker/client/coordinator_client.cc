#include "worker/client/coordinator_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "common/base/error.h"
#include "common/protocol/attempt_token.h"
#include "common/protocol/error_reason.h"
#include "common/protocol/reconnection.h"

namespace equipoise {
namespace {

using Clock = std::chrono::steady_clock;

// Of one try.
constexpr std::chrono::seconds kCallDeadline{30};
// A coordinator that restarts is back within a second or two: first retries are quick, later ones spare it.
constexpr std::chrono::milliseconds kFirstPause{50};
constexpr std::chrono::milliseconds kLongestPause{2000};

bool is_not_stored(const grpc::Status& status) {
  return reason_in(status.error_details()) == ErrorReason::kStateNotStored;
}

bool may_succeed_later(const grpc::Status& status) {
  return was_cut_off(status.error_code(), status.error_details()) ||
         status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
}

std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const ServiceAccess& access) {
  if (!access.has_tls()) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials(
      {.pem_root_certs = access.ca, .pem_private_key = access.key, .pem_cert_chain = access.certificate});
}

std::shared_ptr<grpc::Channel> make_channel(const std::string& address, const ServiceAccess& access) {
  grpc::ChannelArguments arguments;
  // The coordinator is on this cluster, whatever proxy the environment names for the web.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectPauseMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLongestReconnectPauseMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveAnswerMs);
  return grpc::CreateCustomChannel(address, channel_credentials(access), arguments);
}

}  // namespace

// What a call is, but for its content.
struct CoordinatorClient::Call {
  // What FAILED_PRECONDITION and PERMISSION_DENIED say in answer to it, where no reason says more.
  enum class Precondition {
    kOfAttempt,  // this attempt is over
    kOfContent,  // the coordinator does not take what the call asks for
  };
  enum class Tries { kForTheWindow, kOne };
  const char* name;  // in messages
  Precondition precondition = Precondition::kOfAttempt;
  Tries tries = Tries::kForTheWindow;
  std::chrono::milliseconds within = kCallDeadline;  // of one try

  // Whether this rank has to end after such an answer.
  bool is_of_over_attempt(const grpc::Status& status) const;
};

bool CoordinatorClient::Call::is_of_over_attempt(const grpc::Status& status) const {
  switch (reason_in(status.error_details()).value_or(ErrorReason::kInternal)) {
    case ErrorReason::kStaleGeneration:
    case ErrorReason::kJobCancelled:
      return true;
    case ErrorReason::kWrongState:  // a heartbeat of a rank that the coordinator does not know has nothing else to say
      return precondition == Precondition::kOfAttempt && tries == Tries::kOne;
    default:
      break;
  }
  const bool may_be_over = status.error_code() == grpc::StatusCode::FAILED_PRECONDITION ||
                           status.error_code() == grpc::StatusCode::PERMISSION_DENIED;
  return may_be_over && precondition == Precondition::kOfAttempt;
}

void CoordinatorClient::throw_status(const Call& call, const grpc::Status& status, std::chrono::seconds waited) const {
  if (call.is_of_over_attempt(status)) throw AttemptEnded(status.error_message());
  const std::string refused = "coordinator " + address_ + ": " + call.name + " was refused: " + status.error_message();
  switch (status.error_code()) {
    case grpc::StatusCode::UNAUTHENTICATED:
      throw std::invalid_argument(refused);
    case grpc::StatusCode::PERMISSION_DENIED:
      if (reason_in(status.error_details()) == ErrorReason::kRoleTooLow) throw std::invalid_argument(refused);
      throw PeerError(refused);
    case grpc::StatusCode::FAILED_PRECONDITION:
      if (call.precondition == Call::Precondition::kOfAttempt) throw PeerError(refused);
      throw std::invalid_argument(status.error_message());
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::NOT_FOUND:
      throw std::invalid_argument(status.error_message());
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      throw PeerError("coordinator " + address_ + ": " + call.name + " had no answer for " +
                      std::to_string(waited.count()) + " s");
    default:
      throw PeerError("coordinator " + address_ + ": " + call.name + " failed after " + std::to_string(waited.count()) +
                      " s: " + status.error_message());
  }
}

CoordinatorClient::CoordinatorClient(std::string address, std::chrono::seconds patience, std::string attempt_token,
                                     ServiceAccess access)
    : address_(std::move(address)),
      patience_(patience),
      attempt_token_(std::move(attempt_token)),
      access_(std::move(access)) {
  check_token_stays_secret(access_, address_);
  const auto channel = make_channel(address_, access_);
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + patience_)) {
    throw std::invalid_argument("coordinator " + address_ + " did not answer within " +
                                std::to_string(patience_.count()) +
                                " s; is equipoise-coordinator running there, and does its firewall admit this host?" +
                                (access_.has_tls() ? " Is its certificate of this name, and signed by --tls-ca?"
                                                   : " If it wants TLS, --tls-ca FILE or EQUIPOISE_TLS_CA says so"));
  }
  stub_ = v1::WorkerService::NewStub(channel);
}

void CoordinatorClient::sign(grpc::ClientContext& context) const {
  if (!attempt_token_.empty()) context.AddMetadata(kAttemptTokenMetadata, attempt_token_);
  if (!access_.token.empty()) context.AddMetadata(kAuthorizationMetadata, kBearer + access_.token);
}

template <typename Response, typename Request, typename Method>
Response CoordinatorClient::make(const Call& call, Method method, const Request& request) {
  const auto start = Clock::now();
  auto end = start + patience_;
  const bool is_tried_once = call.tries == Call::Tries::kOne;
  auto pause = kFirstPause;
  bool was_held = false;
  while (true) {
    grpc::ClientContext context;
    // gRPC connects again at once only while a call waits for it.
    context.set_wait_for_ready(!is_tried_once);
    context.set_deadline(std::chrono::system_clock::now() + std::min<Clock::duration>(call.within, end - Clock::now()));
    sign(context);
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    if (status.ok()) {
      if (was_held) go_on();
      return response;
    }
    const bool is_held = !is_tried_once && is_not_stored(status);
    if (is_held) hold(call, status);
    was_held = was_held || is_held;
    const bool is_last = is_tried_once || (!is_held && Clock::now() + pause > end);
    if (is_last || !(is_held || may_succeed_later(status))) {
      throw_status(call, status, std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - start));
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
    // It has answered, so that its absence begins later, if it does.
    if (is_held) end = Clock::now() + patience_;
  }
}

void CoordinatorClient::hold(const Call& call, const grpc::Status& status) {
  if (is_held_.exchange(true) || !on_hold_) return;
  on_hold_(std::string(call.name) + " waits until the coordinator can store it: " + status.error_message());
}

void CoordinatorClient::go_on() {
  if (is_held_.exchange(false) && on_hold_) on_hold_("the coordinator can store again: this rank goes on");
}

v1::RegisterWorkerResponse CoordinatorClient::register_worker(const v1::RegisterWorkerRequest& request) {
  return make<v1::RegisterWorkerResponse>({.name = "RegisterWorker", .precondition = Call::Precondition::kOfContent},
                                          &v1::WorkerService::Stub::RegisterWorker, request);
}

v1::StartTrainingResponse CoordinatorClient::start_training(const v1::StartTrainingRequest& request) {
  return make<v1::StartTrainingResponse>({.name = "StartTraining", .precondition = Call::Precondition::kOfContent},
                                         &v1::WorkerService::Stub::StartTraining, request);
}

v1::ReportStepResponse CoordinatorClient::report_step(const v1::ReportStepRequest& request) {
  return make<v1::ReportStepResponse>({.name = "ReportStep"}, &v1::WorkerService::Stub::ReportStep, request);
}

v1::ReportStepsResponse CoordinatorClient::report_steps(const v1::ReportStepsRequest& request) {
  return make<v1::ReportStepsResponse>({.name = "ReportSteps"}, &v1::WorkerService::Stub::ReportSteps, request);
}

v1::GetGroupWeightsResponse CoordinatorClient::group_weights(const v1::GetGroupWeightsRequest& request) {
  return make<v1::GetGroupWeightsResponse>({.name = "GetGroupWeights"}, &v1::WorkerService::Stub::GetGroupWeights,
                                           request);
}

v1::ApplySettingsResponse CoordinatorClient::apply_settings(const v1::ApplySettingsRequest& request) {
  return make<v1::ApplySettingsResponse>({.name = "ApplySettings"}, &v1::WorkerService::Stub::ApplySettings, request);
}

void CoordinatorClient::commit_checkpoint(const v1::CommitCheckpointRequest& request) {
  make<v1::CommitCheckpointResponse>({.name = "CommitCheckpoint"}, &v1::WorkerService::Stub::CommitCheckpoint, request);
}

void CoordinatorClient::report_metrics(const v1::ReportMetricsRequest& request) {
  make<v1::ReportMetricsResponse>({.name = "ReportMetrics"}, &v1::WorkerService::Stub::ReportMetrics, request);
}

v1::HeartbeatResponse CoordinatorClient::heartbeat(const v1::HeartbeatRequest& request,
                                                   std::chrono::milliseconds within) {
  return make<v1::HeartbeatResponse>({.name = "Heartbeat", .tries = Call::Tries::kOne, .within = within},
                                     &v1::WorkerService::Stub::Heartbeat, request);
}

void CoordinatorClient::finish_worker(const v1::FinishWorkerRequest& request) {
  make<v1::FinishWorkerResponse>({.name = "FinishWorker"}, &v1::WorkerService::Stub::FinishWorker, request);
}

void CoordinatorClient::leave_worker(const v1::LeaveWorkerRequest& request) {
  make<v1::LeaveWorkerResponse>({.name = "LeaveWorker"}, &v1::WorkerService::Stub::LeaveWorker, request);
}

void CoordinatorClient::fail_worker(const v1::FailWorkerRequest& request) noexcept {
  try {
    make<v1::FailWorkerResponse>({.name = "FailWorker"}, &v1::WorkerService::Stub::FailWorker, request);
  } catch (const std::exception&) {
    // The launcher still sees the exit code.
  }
}

}  // namespace equipoise
