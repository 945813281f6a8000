#include "client/connection/connection.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

#include "client/console/console.h"
#include "client/table/display_width.h"
#include "common/base/host_port.h"
#include "common/base/message_text.h"
#include "common/protocol/error_reason.h"
#include "common/protocol/reconnection.h"

namespace equipoise {
namespace {

constexpr std::chrono::seconds kAnswerDeadline{10};
constexpr std::chrono::milliseconds kBetweenStopRequests{100};
constexpr std::chrono::milliseconds kBetweenTries{100};
constexpr std::chrono::milliseconds kSilentWait{1500};
// A job of thousands of groups and a page of weights exceed the library's 4 MiB.
constexpr int kLargestAnswerBytes = 64 << 20;

std::shared_ptr<grpc::ChannelCredentials> credentials_for(const ServiceAccess& access) {
  if (!access.has_tls()) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials(
      {.pem_root_certs = access.ca, .pem_private_key = access.key, .pem_cert_chain = access.certificate});
}

std::shared_ptr<grpc::Channel> make_channel(const CoordinatorAddress& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kLargestAnswerBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectPauseMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLongestReconnectPauseMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveAnswerMs);
  return grpc::CreateCustomChannel("dns:///" + address.host_port, credentials_for(address.access), arguments);
}

// With it a call that is made again, as its answer was lost, is the same call.
std::string new_request_id() {
  std::random_device random;
  std::string id = "equipoise";
  for (int i = 0; i < 4; ++i) id.append("-").append(std::to_string(random()));
  return id;
}

void wait_for(grpc::Channel& channel, const CoordinatorAddress& address, const StopRequest& stop) {
  const auto begin = std::chrono::system_clock::now(), deadline = begin + address.timeout;
  bool is_told = false;
  while (true) {
    const auto now = std::chrono::system_clock::now();
    if (!is_told && now - begin >= kSilentWait && now + kSilentWait < deadline) {
      is_told = true;
      std::cerr << "equipoise: nothing answers at " << printable(address.host_port) << " yet; waiting for it, "
                << address.timeout.count() << " s at most" << std::endl;
    }
    if (channel.WaitForConnected(std::min(deadline, now + kBetweenStopRequests))) return;
    if (stop && stop()) throw CommandError(ExitCode::kInterrupted, "interrupted");
    if (now >= deadline) break;
  }
  throw CoordinatorUnreachable("no coordinator answered at " + address.host_port + " within " +
                               std::to_string(address.timeout.count()) + " s; is equipoise-coordinator running there?" +
                               (address.access.has_tls() ? " Is its certificate of this name, and signed by --tls-ca?"
                                                         : " One with TLS is called with --tls-ca FILE"));
}

}  // namespace

Connection::Connection(CoordinatorAddress address, const StopRequest& stop) : address_(std::move(address)) {
  check_coordinator_address(address_.host_port);
  check_token_stays_secret(address_.access, address_.host_port);
  channel_ = make_channel(address_);
  wait_for(*channel_, address_, stop);
  stub_ = v1::TrainingJobService::NewStub(channel_);
  host_stub_ = v1::HostService::NewStub(channel_);
}

void Connection::check(const grpc::Status& status) const {
  if (reason_in(status.error_details()) == ErrorReason::kStateNotStored) {
    throw PeerError("the coordinator at " + address_.host_port +
                    " cannot store anything at the moment: " + status.error_message());
  }
  if (reason_in(status.error_details()) == ErrorReason::kFilesUnreachable) {
    throw PeerError("the coordinator at " + address_.host_port + " cannot do that now: " + status.error_message());
  }
  if (reason_in(status.error_details()) == ErrorReason::kEtagMismatch) {
    throw CommandError(ExitCode::kChanged, status.error_message());
  }
  const bool has_no_answer = was_cut_off(status.error_code(), status.error_details()) ||
                             status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
  if (has_no_answer) {
    throw CoordinatorUnreachable("the coordinator at " + address_.host_port +
                                 " went away or did not answer in time: " + status.error_message());
  }
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::PERMISSION_DENIED:
      throw std::invalid_argument(status.error_message());
    default:
      throw PeerError("the coordinator at " + address_.host_port + " answered with code " +
                      std::to_string(status.error_code()) + ": " + status.error_message());
  }
}

void Connection::sign(grpc::ClientContext& context) const {
  if (address_.access.token.empty()) return;
  context.AddMetadata(kAuthorizationMetadata, kBearer + address_.access.token);
}

bool Connection::is_connected(std::chrono::milliseconds wait) {
  return channel_->WaitForConnected(std::chrono::system_clock::now() + wait);
}

template <typename Response, typename Stub, typename Request>
Response Connection::call(Repeat repeat, Method<Stub, Request, Response> method, const Request& request) {
  Stub* stub = nullptr;
  if constexpr (std::is_same_v<Stub, v1::HostService::Stub>) {
    stub = host_stub_.get();
  } else {
    stub = stub_.get();
  }
  const auto start = std::chrono::steady_clock::now();
  const auto deadline = std::chrono::system_clock::now() + address_.timeout + kAnswerDeadline;
  while (true) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(deadline);
    sign(context);
    Response response;
    const grpc::Status status = (stub->*method)(&context, request, &response);
    const bool went_away = was_cut_off(status.error_code(), status.error_details());
    const bool is_in_time = std::chrono::steady_clock::now() - start < address_.timeout;
    if (!went_away || !is_in_time || repeat == Repeat::kUnsafe) {
      check(status);
      return response;
    }
    std::this_thread::sleep_for(kBetweenTries);
  }
}

// With an etag a repeat without a request id would find what the first has changed.
template <typename Response, typename Request>
Response Connection::change(Method<v1::TrainingJobService::Stub, Request, Response> method, const ChangedJob& job) {
  Request request;
  request.set_id(job.id);
  request.set_etag(job.etag);
  if (!job.etag.empty()) request.set_request_id(new_request_id());
  return call(Repeat::kSafe, method, request);
}

v1::TrainingJob Connection::create_job(const v1::CreateTrainingJobRequest& request) {
  // With a request id the same request again gives the same job.
  const Repeat repeat = request.request_id().empty() ? Repeat::kUnsafe : Repeat::kSafe;
  return call<v1::TrainingJob>(repeat, &v1::TrainingJobService::Stub::CreateTrainingJob, request);
}

v1::TrainingJob Connection::get_job(const std::string& id) {
  v1::GetTrainingJobRequest request;
  request.set_id(id);
  return call<v1::TrainingJob>(Repeat::kSafe, &v1::TrainingJobService::Stub::GetTrainingJob, request);
}

v1::TrainingJob Connection::cancel_job(const ChangedJob& job) {
  return change<v1::TrainingJob, v1::CancelTrainingJobRequest>(&v1::TrainingJobService::Stub::CancelTrainingJob, job);
}

// Without waiting for a coordinator that is away. nullopt: not in the job's state.
template <typename Request>
std::optional<v1::TrainingJob> Connection::ask_once(
    Method<v1::TrainingJobService::Stub, Request, v1::TrainingJob> method, const std::string& id) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kAnswerDeadline);
  sign(context);
  Request request;
  request.set_id(id);
  v1::TrainingJob job;
  const grpc::Status status = (stub_.get()->*method)(&context, request, &job);
  if (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION) return std::nullopt;
  check(status);
  return job;
}

bool Connection::cancel_unless_ended(const std::string& id) {
  return ask_once<v1::CancelTrainingJobRequest>(&v1::TrainingJobService::Stub::CancelTrainingJob, id).has_value();
}

std::optional<v1::TrainingJob> Connection::pause_unless_ended(const std::string& id) {
  return ask_once<v1::PauseTrainingJobRequest>(&v1::TrainingJobService::Stub::PauseTrainingJob, id);
}

v1::TrainingJob Connection::pause_job(const ChangedJob& job) {
  return change<v1::TrainingJob, v1::PauseTrainingJobRequest>(&v1::TrainingJobService::Stub::PauseTrainingJob, job);
}

v1::TrainingJob Connection::resume_job(const ChangedJob& job) {
  return change<v1::TrainingJob, v1::ResumeTrainingJobRequest>(&v1::TrainingJobService::Stub::ResumeTrainingJob, job);
}

v1::TrainingJob Connection::checkpoint_job(const ChangedJob& job) {
  v1::CheckpointTrainingJobRequest request;
  request.set_id(job.id);
  request.set_etag(job.etag);
  request.set_request_id(new_request_id());
  return call<v1::TrainingJob>(Repeat::kSafe, &v1::TrainingJobService::Stub::CheckpointTrainingJob, request);
}

v1::TrainingJob Connection::evaluate_job(const ChangedJob& job) {
  return change<v1::TrainingJob, v1::EvaluateTrainingJobRequest>(&v1::TrainingJobService::Stub::EvaluateTrainingJob,
                                                                 job);
}

// A second one sets what the first has set.
v1::TrainingJob Connection::update_job(const v1::UpdateTrainingJobRequest& request) {
  v1::UpdateTrainingJobRequest asked = request;
  if (!request.etag().empty()) asked.set_request_id(new_request_id());
  return call<v1::TrainingJob>(Repeat::kSafe, &v1::TrainingJobService::Stub::UpdateTrainingJob, asked);
}

v1::TrainingJob Connection::fork_job(const v1::ForkTrainingJobRequest& request) {
  v1::ForkTrainingJobRequest asked = request;
  asked.set_request_id(new_request_id());
  return call<v1::TrainingJob>(Repeat::kSafe, &v1::TrainingJobService::Stub::ForkTrainingJob, asked);
}

void Connection::delete_job(const ChangedJob& job) {
  v1::DeleteTrainingJobRequest request;
  request.set_id(job.id);
  request.set_etag(job.etag);
  request.set_request_id(new_request_id());
  call<google::protobuf::Empty>(Repeat::kSafe, &v1::TrainingJobService::Stub::DeleteTrainingJob, request);
}

v1::ListTrainingJobsResponse Connection::list_jobs(const v1::ListTrainingJobsRequest& request) {
  return call<v1::ListTrainingJobsResponse>(Repeat::kSafe, &v1::TrainingJobService::Stub::ListTrainingJobs, request);
}

v1::ListAttemptsResponse Connection::list_attempts(const v1::ListAttemptsRequest& request) {
  return call<v1::ListAttemptsResponse>(Repeat::kSafe, &v1::TrainingJobService::Stub::ListAttempts, request);
}

v1::ListCheckpointsResponse Connection::list_checkpoints(const v1::ListCheckpointsRequest& request) {
  return call<v1::ListCheckpointsResponse>(Repeat::kSafe, &v1::TrainingJobService::Stub::ListCheckpoints, request);
}

v1::ListEventsResponse Connection::list_events(const v1::ListEventsRequest& request) {
  return call<v1::ListEventsResponse>(Repeat::kSafe, &v1::TrainingJobService::Stub::ListEvents, request);
}

v1::ListGroupWeightsResponse Connection::list_group_weights(const v1::ListGroupWeightsRequest& request) {
  return call<v1::ListGroupWeightsResponse>(Repeat::kSafe, &v1::TrainingJobService::Stub::ListGroupWeights, request);
}

v1::ListRanksResponse Connection::list_ranks(const v1::ListRanksRequest& request) {
  return call<v1::ListRanksResponse>(Repeat::kSafe, &v1::TrainingJobService::Stub::ListRanks, request);
}

v1::ListHostsResponse Connection::list_hosts(const v1::ListHostsRequest& request) {
  return call<v1::ListHostsResponse>(Repeat::kSafe, &v1::HostService::Stub::ListHosts, request);
}

v1::Host Connection::cordon_host(const std::string& name, const std::string& reason) {
  v1::CordonHostRequest request;
  request.set_name(name);
  request.set_reason(reason);
  request.set_request_id(new_request_id());
  return call<v1::Host>(Repeat::kSafe, &v1::HostService::Stub::CordonHost, request);
}

v1::Host Connection::uncordon_host(const std::string& name) {
  v1::UncordonHostRequest request;
  request.set_name(name);
  request.set_request_id(new_request_id());
  return call<v1::Host>(Repeat::kSafe, &v1::HostService::Stub::UncordonHost, request);
}

std::unique_ptr<grpc::ClientReader<v1::TrainingJob>> Connection::watch_job(grpc::ClientContext& context,
                                                                           const std::string& id,
                                                                           std::int64_t after_revision) {
  v1::WatchTrainingJobRequest request;
  request.set_id(id);
  request.set_after_revision(after_revision);
  sign(context);
  return stub_->WatchTrainingJob(&context, request);
}

}  // namespace equipoise
