#include "coordinator/service/grpc_services.h"

<<<<<<< HEAD
=======
#include <cstddef>
>>>>>>> helper-2
#include <exception>
#include <filesystem>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "coordinator/job/job_making.h"
#include "coordinator/job/refusal.h"
#include "coordinator/service/pooled_calls.h"
#include "coordinator/service/watch_stream.h"

namespace equipoise::coordinator {
namespace {

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

<<<<<<< HEAD
=======
constexpr const char* kJobService = "equipoise.v1.TrainingJobService";

>>>>>>> helper-2
}  // namespace

TrainingJobService::TrainingJobService(SharedController& shared, FilePool& files, CallGate& gate, JobMetrics& metrics)
    : shared_(shared),
      boundary_(gate, metrics, "TrainingJobService"),
      pool_({}),
      calls_(pool_, Refusal::Code::kResourceExhausted),
      files_(files) {}

// The work may go on after the answer: what it uses is its own.
template <typename Request>
<<<<<<< HEAD
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

template <typename Request, typename Call>
grpc::ServerUnaryReactor* TrainingJobService::read(grpc::CallbackServerContext& context, const char* method,
                                                   const grpc::ByteBuffer& request, grpc::ByteBuffer& response,
                                                   Call call) {
  return calls_.serve_shared(context, method, request, response, [this, request, call = std::move(call)] {
    const Request asked = parsed<Request>(request);
    return bytes_of(shared_.read([&](JobController& core) { return call(core, asked); }));
  });
}

template <typename Response, typename Call>
grpc::ServerUnaryReactor* TrainingJobService::change(grpc::CallbackServerContext& context, const char* method,
                                                     const google::protobuf::Message& request, Response& response,
                                                     Call call) {
  return calls_.serve(context, method, request,
                      [this, &response, call = std::move(call)](const AdmittedCall& admitted) {
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
                                                             const grpc::ByteBuffer* request,
                                                             grpc::ByteBuffer* response) {
  return read<v1::GetTrainingJobRequest>(
      *context, "GetTrainingJob", *request, *response,
      [](JobController& core, const v1::GetTrainingJobRequest& asked) { return core.training_jobs().get(asked.id()); });
}

grpc::ServerUnaryReactor* TrainingJobService::ListTrainingJobs(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer* request,
                                                               grpc::ByteBuffer* response) {
  return read<v1::ListTrainingJobsRequest>(
      *context, "ListTrainingJobs", *request, *response,
      [](JobController& core, const v1::ListTrainingJobsRequest& asked) { return core.training_jobs().list(asked); });
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
                                                               const grpc::ByteBuffer* request,
                                                               grpc::ByteBuffer* response) {
  return read<v1::ListGroupWeightsRequest>(*context, "ListGroupWeights", *request, *response,
                                           [](JobController& core, const v1::ListGroupWeightsRequest& asked) {
                                             return core.training_jobs().group_weights(asked);
                                           });
}

grpc::ServerUnaryReactor* TrainingJobService::ListAttempts(grpc::CallbackServerContext* context,
                                                           const grpc::ByteBuffer* request,
                                                           grpc::ByteBuffer* response) {
  return read<v1::ListAttemptsRequest>(
      *context, "ListAttempts", *request, *response,
      [](JobController& core, const v1::ListAttemptsRequest& asked) { return core.history().attempts(asked); });
}

grpc::ServerUnaryReactor* TrainingJobService::ListCheckpoints(grpc::CallbackServerContext* context,
                                                              const grpc::ByteBuffer* request,
                                                              grpc::ByteBuffer* response) {
  return read<v1::ListCheckpointsRequest>(
      *context, "ListCheckpoints", *request, *response,
      [](JobController& core, const v1::ListCheckpointsRequest& asked) { return core.history().checkpoints(asked); });
}

grpc::ServerUnaryReactor* TrainingJobService::ListEvents(grpc::CallbackServerContext* context,
                                                         const grpc::ByteBuffer* request, grpc::ByteBuffer* response) {
  return read<v1::ListEventsRequest>(
      *context, "ListEvents", *request, *response,
      [](JobController& core, const v1::ListEventsRequest& asked) { return core.history().events(asked); });
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* TrainingJobService::WatchTrainingJob(grpc::CallbackServerContext* context,
                                                                                 const grpc::ByteBuffer* request) {
  auto* const stream = new WatchStream(
      shared_.watchers(), [this](const grpc::Status& status) { boundary_.count("WatchTrainingJob", status); });
  try {
    stream->keep(boundary_.admit(*context, "WatchTrainingJob"));
    check_size(request->Length());
    const v1::WatchTrainingJobRequest asked = parsed<v1::WatchTrainingJobRequest>(*request);
    context->AddInitialMetadata(kWatchOpenMetadata, "open");
    stream->StartSendInitialMetadata();
    shared_.watchers().add(*stream, asked.id(), asked.after_revision());
  } catch (...) {
    stream->end(status_of(std::current_exception()));
  }
  return stream;
}

grpc::ServerUnaryReactor* TrainingJobService::ListRanks(grpc::CallbackServerContext* context,
                                                        const grpc::ByteBuffer* request, grpc::ByteBuffer* response) {
  return read<v1::ListRanksRequest>(
      *context, "ListRanks", *request, *response,
      [](JobController& core, const v1::ListRanksRequest& asked) { return core.training_jobs().ranks(asked); });
=======
void TrainingJobService::add_making(CallTable& calls, const char* method) {
  using MakingCall = UnaryCall<Request, v1::TrainingJob>;
  calls.add_unary<Request, v1::TrainingJob>(kJobService, method, boundary_, [this](MakingCall& call) {
    const std::size_t bytes = call.request.ByteSizeLong();
    const grpc::Status refusal = boundary_.let_in(call.method(), [bytes] { check_size(bytes); });
    if (!refusal.ok()) return call.finish(refusal);
    files_.run({.caller = caller_of(call),
                .files = {},
                .work =
                    [&shared = shared_, request = call.request, requester = call.admitted().name()](FileRun& run) {
                      CoreOfFiles core(shared, run);
                      return make_job(core, request, requester).SerializeAsString();
                    },
                .done =
                    [this, &call](const FileAnswer& made) {
                      shared_.wake();
                      call.finish(boundary_.answer(call.method(), [&] {
                        if (made.failure != nullptr) std::rethrow_exception(made.failure);
                        EQUIPOISE_CHECK(call.response.ParseFromString(made.text));
                      }));
                    },
                .amount = FilePool::Amount::kManyFiles});
  });
}

template <typename Request, typename Response, typename Call>
void TrainingJobService::add_reader(CallTable& calls, const char* method, Call call) {
  calls.add_unary<Request, Response>(kJobService, method, boundary_, [this, call](UnaryCall<Request, Response>& asked) {
    calls_.serve(asked, asked.request, [this, call, &asked](const AdmittedCall& /*admitted*/) {
      asked.response = shared_.read([&](JobController& core) -> Response { return call(core, asked.request); });
    });
  });
}

template <typename Request, typename Response, typename Call>
void TrainingJobService::add_change(CallTable& calls, const char* method, Call call) {
  calls.add_unary<Request, Response>(kJobService, method, boundary_, [this, call](UnaryCall<Request, Response>& asked) {
    calls_.serve(asked, asked.request, [this, call, &asked](const AdmittedCall& admitted) {
      asked.response =
          shared_.run([&](JobController& core) -> Response { return call(core, asked.request, admitted.name()); });
      shared_.wake();
    });
  });
}

void TrainingJobService::add_to(CallTable& calls) {
  add_readers(calls);
  add_changes(calls);
  calls.add(kJobService, "WatchTrainingJob", boundary_,
            [this](const CallPlace& place) { return new WatchStream(place, shared_.watchers()); });
}

void TrainingJobService::add_readers(CallTable& calls) {
  add_reader<v1::GetTrainingJobRequest, v1::TrainingJob>(
      calls, "GetTrainingJob",
      [](JobController& core, const auto& request) { return core.training_jobs().get(request.id()); });
  add_reader<v1::ListTrainingJobsRequest, v1::ListTrainingJobsResponse>(
      calls, "ListTrainingJobs",
      [](JobController& core, const auto& request) { return core.training_jobs().list(request); });
  add_reader<v1::ListGroupWeightsRequest, v1::ListGroupWeightsResponse>(
      calls, "ListGroupWeights",
      [](JobController& core, const auto& request) { return core.training_jobs().group_weights(request); });
  add_reader<v1::ListRanksRequest, v1::ListRanksResponse>(
      calls, "ListRanks", [](JobController& core, const auto& request) { return core.training_jobs().ranks(request); });
  add_reader<v1::ListAttemptsRequest, v1::ListAttemptsResponse>(
      calls, "ListAttempts", [](JobController& core, const auto& request) { return core.history().attempts(request); });
  add_reader<v1::ListCheckpointsRequest, v1::ListCheckpointsResponse>(
      calls, "ListCheckpoints",
      [](JobController& core, const auto& request) { return core.history().checkpoints(request); });
  add_reader<v1::ListEventsRequest, v1::ListEventsResponse>(
      calls, "ListEvents", [](JobController& core, const auto& request) { return core.history().events(request); });
}

void TrainingJobService::add_changes(CallTable& calls) {
  add_making<v1::CreateTrainingJobRequest>(calls, "CreateTrainingJob");
  add_making<v1::ForkTrainingJobRequest>(calls, "ForkTrainingJob");
  add_change<v1::CancelTrainingJobRequest, v1::TrainingJob>(
      calls, "CancelTrainingJob", [](JobController& core, const auto& request, const std::string& /*caller*/) {
        return core.training_jobs().cancel(request);
      });
  add_change<v1::PauseTrainingJobRequest, v1::TrainingJob>(
      calls, "PauseTrainingJob", [](JobController& core, const auto& request, const std::string& /*caller*/) {
        return core.training_jobs().pause(request);
      });
  add_change<v1::ResumeTrainingJobRequest, v1::TrainingJob>(
      calls, "ResumeTrainingJob", [](JobController& core, const auto& request, const std::string& /*caller*/) {
        return core.training_jobs().resume(request);
      });
  add_change<v1::CheckpointTrainingJobRequest, v1::TrainingJob>(
      calls, "CheckpointTrainingJob", [](JobController& core, const auto& request, const std::string& /*caller*/) {
        return core.training_jobs().checkpoint(request);
      });
  add_change<v1::EvaluateTrainingJobRequest, v1::TrainingJob>(
      calls, "EvaluateTrainingJob", [](JobController& core, const auto& request, const std::string& /*caller*/) {
        return core.training_jobs().evaluate(request);
      });
  add_change<v1::UpdateTrainingJobRequest, v1::TrainingJob>(
      calls, "UpdateTrainingJob", [](JobController& core, const auto& request, const std::string& caller) {
        return core.training_jobs().update(request, caller);
      });
  add_change<v1::DeleteTrainingJobRequest, google::protobuf::Empty>(
      calls, "DeleteTrainingJob", [](JobController& core, const auto& request, const std::string& /*caller*/) {
        core.training_jobs().remove(request);
        return google::protobuf::Empty();
      });
>>>>>>> helper-2
}

}  // namespace equipoise::coordinator
