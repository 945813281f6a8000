#include "coordinator/service/grpc_services.h"

#include <grpcpp/support/slice.h>

#include <exception>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "common/base/error.h"
#include "common/protocol/attempt_token.h"
#include "common/protocol/reconnection.h"
#include "coordinator/job/job_making.h"
#include "coordinator/job/refusal.h"
#include "coordinator/service/watch_stream.h"

namespace equipoise::coordinator {
namespace {

std::string attempt_token_of(const grpc::ServerContext& context) {
  const auto token = context.client_metadata().find(kAttemptTokenMetadata);
  return token == context.client_metadata().end() ? "" : std::string(token->second.data(), token->second.size());
}

struct RankCall {
  const grpc::ServerContext& context;
  const AdmittedCall& admitted;
};

// A call of a rank, alone on the core; refused before anything is looked at where its token is not that of the attempt.
template <typename Request, typename Call>
auto run_for_rank(SharedController& shared, const RankCall& rank, const Request& request, const Call& call) {
  const std::string token = attempt_token_of(rank.context);
  return shared.run([&](JobController& core) {
    if (rank.admitted.is_of_stranger()) core.worker_calls().check_stranger(request.job_id(), token);
    core.worker_calls().check_token(request.job_id(), token);
    return call(core.worker_calls());
  });
}

// What people ask for is short: the largest, a job, has 256 KiB. Ranks report up to the server's 4 MiB.
constexpr std::size_t kLargestRequest = 1024 * 1024;

void check_size(std::size_t bytes) {
  if (bytes <= kLargestRequest) return;
  throw Refusal(Refusal::Code::kResourceExhausted, "the request has " + std::to_string(bytes) +
                                                       " bytes, expected at most " + std::to_string(kLargestRequest));
}

// Whose turns a call takes: those of a token, or of an address where nobody has one.
std::string caller_of(const grpc::CallbackServerContext& context, const AdmittedCall& call) {
  const std::string peer = call.name().empty() ? context.peer() : "";
  return call.name() + peer.substr(0, peer.rfind(':'));
}

// The core, for the parts of a call that works on files.
class CoreOfFiles {
 public:
  CoreOfFiles(SharedController& shared, FileRun& run) : shared_(shared), run_(run) {}

  template <typename Call>
  auto look(const Call& call) {
    return run_.apart([&] { return shared_.read([&](JobController& core) { return call(core.training_jobs()); }); });
  }
  template <typename Call>
  auto change(const Call& call) {
    return run_.apart([&] { return shared_.run([&](JobController& core) { return call(core.training_jobs()); }); });
  }
  template <typename Call>
  void end(const Call& call) {
    run_.apart_at_last([&] { shared_.read([&](JobController& core) { call(core.training_jobs()); }); });
  }
  void reach(const std::filesystem::path& file) { run_.reach(file); }

 private:
  SharedController& shared_;
  FileRun& run_;
};

v1::WatchTrainingJobRequest parsed_watch_request(const grpc::ByteBuffer& bytes) {
  v1::WatchTrainingJobRequest request;
  grpc::Slice slice;
  if (!bytes.DumpToSingleSlice(&slice).ok() || !request.ParseFromArray(slice.begin(), static_cast<int>(slice.size()))) {
    throw std::invalid_argument("the bytes of the request are not those of a WatchTrainingJobRequest");
  }
  return request;
}

}  // namespace

TrainingJobService::TrainingJobService(SharedController& shared, FilePool& files, CallGate& gate, JobMetrics& metrics)
    : shared_(shared), boundary_(gate, metrics, "TrainingJobService"), pool_({}), files_(files) {}

std::shared_ptr<const AdmittedCall> TrainingJobService::let_in(grpc::CallbackServerContext& context, const char* method,
                                                               const google::protobuf::Message& request,
                                                               grpc::ServerUnaryReactor& reactor) const {
  std::shared_ptr<const AdmittedCall> call;  // counts until the answer is given
  const grpc::Status refusal = boundary_.let_in(method, [&] {
    call = boundary_.admit(context, method);
    check_size(request.ByteSizeLong());
  });
  if (refusal.ok()) return call;
  reactor.Finish(refusal);
  return nullptr;
}

grpc::ServerUnaryReactor* TrainingJobService::serve(grpc::CallbackServerContext& context, const char* method,
                                                    const google::protobuf::Message& request,
                                                    std::function<void(const AdmittedCall&)> body) {
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  const auto call = let_in(context, method, request, *reactor);
  if (call == nullptr) return reactor;
  const bool is_taken = pool_.run(caller_of(context, *call), [this, reactor, method, call, body = std::move(body)] {
    reactor->Finish(boundary_.answer(method, [&] { body(*call); }));
  });
  if (is_taken) return reactor;
  reactor->Finish(boundary_.answer(method, [] {
    throw Refusal(Refusal::Code::kResourceExhausted, "too many calls are waiting for an answer; try again later");
  }));
  return reactor;
}

// The work may go on after the answer: what it uses is its own.
template <typename Request>
grpc::ServerUnaryReactor* TrainingJobService::make(grpc::CallbackServerContext& context, const char* method,
                                                   const Request& request, v1::TrainingJob& response) {
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  const auto call = let_in(context, method, request, *reactor);
  if (call == nullptr) return reactor;
  files_.run({.caller = caller_of(context, *call),
              .files = {},
              .work =
                  [&shared = shared_, request, requester = call->name()](FileRun& run) {
                    CoreOfFiles core(shared, run);
                    return make_job(core, request, requester).SerializeAsString();
                  },
              .done =
                  [this, reactor, method, call, &response](const FileAnswer& made) {
                    shared_.wake();
                    reactor->Finish(boundary_.answer(method, [&] {
                      if (made.failure != nullptr) std::rethrow_exception(made.failure);
                      EQUIPOISE_CHECK(response.ParseFromString(made.text));
                    }));
                  },
              .amount = FilePool::Amount::kManyFiles});
  return reactor;
}

template <typename Response, typename Call>
grpc::ServerUnaryReactor* TrainingJobService::read(grpc::CallbackServerContext& context, const char* method,
                                                   const google::protobuf::Message& request, Response& response,
                                                   Call call) {
  return serve(context, method, request, [this, &response, call = std::move(call)](const AdmittedCall& /*admitted*/) {
    response = shared_.read([&](JobController& core) -> Response { return call(core); });
  });
}

template <typename Response, typename Call>
grpc::ServerUnaryReactor* TrainingJobService::change(grpc::CallbackServerContext& context, const char* method,
                                                     const google::protobuf::Message& request, Response& response,
                                                     Call call) {
  return serve(context, method, request, [this, &response, call = std::move(call)](const AdmittedCall& admitted) {
    response = shared_.run([&](JobController& core) -> Response {
      if constexpr (std::is_invocable_v<const Call&, JobController&, const std::string&>) {
        return call(core, admitted.name());
      } else {
        return call(core);
      }
    });
    shared_.wake();
  });
}

grpc::ServerUnaryReactor* TrainingJobService::CreateTrainingJob(grpc::CallbackServerContext* context,
                                                                const v1::CreateTrainingJobRequest* request,
                                                                v1::TrainingJob* response) {
  return make(*context, "CreateTrainingJob", *request, *response);
}

grpc::ServerUnaryReactor* TrainingJobService::GetTrainingJob(grpc::CallbackServerContext* context,
                                                             const v1::GetTrainingJobRequest* request,
                                                             v1::TrainingJob* response) {
  return read(*context, "GetTrainingJob", *request, *response,
              [request](JobController& core) { return core.training_jobs().get(request->id()); });
}

grpc::ServerUnaryReactor* TrainingJobService::ListTrainingJobs(grpc::CallbackServerContext* context,
                                                               const v1::ListTrainingJobsRequest* request,
                                                               v1::ListTrainingJobsResponse* response) {
  return read(*context, "ListTrainingJobs", *request, *response,
              [request](JobController& core) { return core.training_jobs().list(*request); });
}

grpc::ServerUnaryReactor* TrainingJobService::CancelTrainingJob(grpc::CallbackServerContext* context,
                                                                const v1::CancelTrainingJobRequest* request,
                                                                v1::TrainingJob* response) {
  return change(*context, "CancelTrainingJob", *request, *response,
                [request](JobController& core) { return core.training_jobs().cancel(*request); });
}

grpc::ServerUnaryReactor* TrainingJobService::PauseTrainingJob(grpc::CallbackServerContext* context,
                                                               const v1::PauseTrainingJobRequest* request,
                                                               v1::TrainingJob* response) {
  return change(*context, "PauseTrainingJob", *request, *response,
                [request](JobController& core) { return core.training_jobs().pause(*request); });
}

grpc::ServerUnaryReactor* TrainingJobService::ResumeTrainingJob(grpc::CallbackServerContext* context,
                                                                const v1::ResumeTrainingJobRequest* request,
                                                                v1::TrainingJob* response) {
  return change(*context, "ResumeTrainingJob", *request, *response,
                [request](JobController& core) { return core.training_jobs().resume(*request); });
}

grpc::ServerUnaryReactor* TrainingJobService::CheckpointTrainingJob(grpc::CallbackServerContext* context,
                                                                    const v1::CheckpointTrainingJobRequest* request,
                                                                    v1::TrainingJob* response) {
  return change(*context, "CheckpointTrainingJob", *request, *response,
                [request](JobController& core) { return core.training_jobs().checkpoint(*request); });
}

grpc::ServerUnaryReactor* TrainingJobService::EvaluateTrainingJob(grpc::CallbackServerContext* context,
                                                                  const v1::EvaluateTrainingJobRequest* request,
                                                                  v1::TrainingJob* response) {
  return change(*context, "EvaluateTrainingJob", *request, *response,
                [request](JobController& core) { return core.training_jobs().evaluate(*request); });
}

grpc::ServerUnaryReactor* TrainingJobService::UpdateTrainingJob(grpc::CallbackServerContext* context,
                                                                const v1::UpdateTrainingJobRequest* request,
                                                                v1::TrainingJob* response) {
  return change(*context, "UpdateTrainingJob", *request, *response,
                [request](JobController& core, const std::string& caller) {
                  return core.training_jobs().update(*request, caller);
                });
}

grpc::ServerUnaryReactor* TrainingJobService::ForkTrainingJob(grpc::CallbackServerContext* context,
                                                              const v1::ForkTrainingJobRequest* request,
                                                              v1::TrainingJob* response) {
  return make(*context, "ForkTrainingJob", *request, *response);
}

grpc::ServerUnaryReactor* TrainingJobService::DeleteTrainingJob(grpc::CallbackServerContext* context,
                                                                const v1::DeleteTrainingJobRequest* request,
                                                                google::protobuf::Empty* response) {
  return change(*context, "DeleteTrainingJob", *request, *response, [request](JobController& core) {
    core.training_jobs().remove(*request);
    return google::protobuf::Empty();
  });
}

grpc::ServerUnaryReactor* TrainingJobService::ListGroupWeights(grpc::CallbackServerContext* context,
                                                               const v1::ListGroupWeightsRequest* request,
                                                               v1::ListGroupWeightsResponse* response) {
  return read(*context, "ListGroupWeights", *request, *response,
              [request](JobController& core) { return core.training_jobs().group_weights(*request); });
}

grpc::ServerUnaryReactor* TrainingJobService::ListAttempts(grpc::CallbackServerContext* context,
                                                           const v1::ListAttemptsRequest* request,
                                                           v1::ListAttemptsResponse* response) {
  return read(*context, "ListAttempts", *request, *response,
              [request](JobController& core) { return core.history().attempts(*request); });
}

grpc::ServerUnaryReactor* TrainingJobService::ListCheckpoints(grpc::CallbackServerContext* context,
                                                              const v1::ListCheckpointsRequest* request,
                                                              v1::ListCheckpointsResponse* response) {
  return read(*context, "ListCheckpoints", *request, *response,
              [request](JobController& core) { return core.history().checkpoints(*request); });
}

grpc::ServerUnaryReactor* TrainingJobService::ListEvents(grpc::CallbackServerContext* context,
                                                         const v1::ListEventsRequest* request,
                                                         v1::ListEventsResponse* response) {
  return read(*context, "ListEvents", *request, *response,
              [request](JobController& core) { return core.history().events(*request); });
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* TrainingJobService::WatchTrainingJob(grpc::CallbackServerContext* context,
                                                                                 const grpc::ByteBuffer* request) {
  auto* const stream = new WatchStream(
      shared_.watchers(), [this](const grpc::Status& status) { boundary_.count("WatchTrainingJob", status); });
  try {
    stream->keep(boundary_.admit(*context, "WatchTrainingJob"));
    check_size(request->Length());
    const v1::WatchTrainingJobRequest asked = parsed_watch_request(*request);
    context->AddInitialMetadata(kWatchOpenMetadata, "open");
    stream->StartSendInitialMetadata();
    shared_.watchers().add(*stream, asked.id(), asked.after_revision());
  } catch (...) {
    stream->end(status_of(std::current_exception()));
  }
  return stream;
}

grpc::ServerUnaryReactor* TrainingJobService::ListRanks(grpc::CallbackServerContext* context,
                                                        const v1::ListRanksRequest* request,
                                                        v1::ListRanksResponse* response) {
  return read(*context, "ListRanks", *request, *response,
              [request](JobController& core) { return core.training_jobs().ranks(*request); });
}

HostService::HostService(SharedController& shared, CallGate& gate, JobMetrics& metrics)
    : shared_(shared), boundary_(gate, metrics, "HostService") {}

grpc::Status HostService::ListHosts(grpc::ServerContext* context, const v1::ListHostsRequest* request,
                                    v1::ListHostsResponse* response) {
  return boundary_.answer(*context, "ListHosts", [&](const AdmittedCall& /*admitted*/) {
    check_size(request->ByteSizeLong());
    *response = shared_.read([&](JobController& core) { return core.host_calls().list(*request); });
  });
}

grpc::Status HostService::CordonHost(grpc::ServerContext* context, const v1::CordonHostRequest* request,
                                     v1::Host* response) {
  return boundary_.answer(*context, "CordonHost", [&](const AdmittedCall& /*admitted*/) {
    check_size(request->ByteSizeLong());
    *response = shared_.run([&](JobController& core) { return core.host_calls().cordon(*request); });
    shared_.wake();
  });
}

grpc::Status HostService::UncordonHost(grpc::ServerContext* context, const v1::UncordonHostRequest* request,
                                       v1::Host* response) {
  return boundary_.answer(*context, "UncordonHost", [&](const AdmittedCall& /*admitted*/) {
    check_size(request->ByteSizeLong());
    *response = shared_.run([&](JobController& core) { return core.host_calls().uncordon(*request); });
    shared_.wake();
  });
}

WorkerService::WorkerService(SharedController& shared, CallGate& gate, JobMetrics& metrics)
    : shared_(shared), boundary_(gate, metrics, "WorkerService") {}

grpc::Status WorkerService::RegisterWorker(grpc::ServerContext* context, const v1::RegisterWorkerRequest* request,
                                           v1::RegisterWorkerResponse* response) {
  return boundary_.answer(*context, "RegisterWorker", [&](const AdmittedCall& admitted) {
    *response = shared_.run([&](JobController& core) {
      if (admitted.is_of_stranger()) core.worker_calls().check_stranger(request->job_id(), request->attempt_token());
      return core.worker_calls().register_worker(*request);
    });
  });
}

grpc::Status WorkerService::StartTraining(grpc::ServerContext* context, const v1::StartTrainingRequest* request,
                                          v1::StartTrainingResponse* response) {
  return boundary_.answer(*context, "StartTraining", [&](const AdmittedCall& admitted) {
    *response = run_for_rank(shared_, {*context, admitted}, *request,
                             [&](WorkerCalls& calls) { return calls.start_training(*request); });
  });
}

grpc::Status WorkerService::ReportStep(grpc::ServerContext* context, const v1::ReportStepRequest* request,
                                       v1::ReportStepResponse* response) {
  return boundary_.answer(*context, "ReportStep", [&](const AdmittedCall& admitted) {
    *response = run_for_rank(shared_, {*context, admitted}, *request,
                             [&](WorkerCalls& calls) { return calls.report_step(*request); });
  });
}

grpc::Status WorkerService::ReportSteps(grpc::ServerContext* context, const v1::ReportStepsRequest* request,
                                        v1::ReportStepsResponse* response) {
  return boundary_.answer(*context, "ReportSteps", [&](const AdmittedCall& admitted) {
    *response = run_for_rank(shared_, {*context, admitted}, *request,
                             [&](WorkerCalls& calls) { return calls.report_steps(*request); });
  });
}

grpc::Status WorkerService::GetGroupWeights(grpc::ServerContext* context, const v1::GetGroupWeightsRequest* request,
                                            v1::GetGroupWeightsResponse* response) {
  return boundary_.answer(*context, "GetGroupWeights", [&](const AdmittedCall& admitted) {
    *response = run_for_rank(shared_, {*context, admitted}, *request,
                             [&](WorkerCalls& calls) { return calls.group_weights(*request); });
  });
}

grpc::Status WorkerService::ReportMetrics(grpc::ServerContext* context, const v1::ReportMetricsRequest* request,
                                          v1::ReportMetricsResponse* /*response*/) {
  return boundary_.answer(*context, "ReportMetrics", [&](const AdmittedCall& admitted) {
    run_for_rank(shared_, {*context, admitted}, *request, [&](WorkerCalls& calls) { calls.report_metrics(*request); });
  });
}

grpc::Status WorkerService::ApplySettings(grpc::ServerContext* context, const v1::ApplySettingsRequest* request,
                                          v1::ApplySettingsResponse* response) {
  return boundary_.answer(*context, "ApplySettings", [&](const AdmittedCall& admitted) {
    *response = run_for_rank(shared_, {*context, admitted}, *request,
                             [&](WorkerCalls& calls) { return calls.apply_settings(*request); });
  });
}

grpc::Status WorkerService::CommitCheckpoint(grpc::ServerContext* context, const v1::CommitCheckpointRequest* request,
                                             v1::CommitCheckpointResponse* /*response*/) {
  return boundary_.answer(*context, "CommitCheckpoint", [&](const AdmittedCall& admitted) {
    run_for_rank(shared_, {*context, admitted}, *request,
                 [&](WorkerCalls& calls) { calls.commit_checkpoint(*request); });
  });
}

grpc::Status WorkerService::Heartbeat(grpc::ServerContext* context, const v1::HeartbeatRequest* request,
                                      v1::HeartbeatResponse* response) {
  return boundary_.answer(*context, "Heartbeat", [&](const AdmittedCall& admitted) {
    *response = run_for_rank(shared_, {*context, admitted}, *request,
                             [&](WorkerCalls& calls) { return calls.heartbeat(*request); });
  });
}

grpc::Status WorkerService::FinishWorker(grpc::ServerContext* context, const v1::FinishWorkerRequest* request,
                                         v1::FinishWorkerResponse* /*response*/) {
  return boundary_.answer(*context, "FinishWorker", [&](const AdmittedCall& admitted) {
    run_for_rank(shared_, {*context, admitted}, *request, [&](WorkerCalls& calls) { calls.finish_worker(*request); });
    shared_.wake();
  });
}

grpc::Status WorkerService::LeaveWorker(grpc::ServerContext* context, const v1::LeaveWorkerRequest* request,
                                        v1::LeaveWorkerResponse* /*response*/) {
  return boundary_.answer(*context, "LeaveWorker", [&](const AdmittedCall& admitted) {
    run_for_rank(shared_, {*context, admitted}, *request, [&](WorkerCalls& calls) { calls.leave_worker(*request); });
    shared_.wake();
  });
}

grpc::Status WorkerService::FailWorker(grpc::ServerContext* context, const v1::FailWorkerRequest* request,
                                       v1::FailWorkerResponse* /*response*/) {
  return boundary_.answer(*context, "FailWorker", [&](const AdmittedCall& admitted) {
    run_for_rank(shared_, {*context, admitted}, *request, [&](WorkerCalls& calls) { calls.fail_worker(*request); });
    shared_.wake();
  });
}

}  // namespace equipoise::coordinator
