#include "coordinator/service/grpc_services.h"

#include <grpcpp/support/slice.h>

#include <exception>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "common/protocol/reconnection.h"
#include "coordinator/job/refusal.h"
#include "coordinator/service/mount_table.h"
#include "coordinator/service/pooled_calls.h"
#include "coordinator/service/watch_stream.h"

namespace equipoise::coordinator {
namespace {

// Nothing; returns once the file systems of all that is there of `paths` have answered.
std::string answered_by_all(const std::vector<std::filesystem::path>& paths) {
  for (const std::filesystem::path& path : paths) await_file_system(path);
  return "";
}

v1::WatchTrainingJobRequest parsed_watch_request(const grpc::ByteBuffer& bytes) {
  v1::WatchTrainingJobRequest request;
  grpc::Slice slice;
  if (!bytes.DumpToSingleSlice(&slice).ok() || !request.ParseFromArray(slice.begin(), static_cast<int>(slice.size()))) {
    throw std::invalid_argument("the bytes of the request are not those of a WatchTrainingJobRequest");
  }
  return request;
}

}  // namespace

TrainingJobService::TrainingJobService(SharedController& shared, CallGate& gate, JobMetrics& metrics)
    : shared_(shared), boundary_(gate, metrics, "TrainingJobService"), pool_({}) {}

grpc::ServerUnaryReactor* TrainingJobService::serve(grpc::CallbackServerContext& context, const char* method,
                                                    const google::protobuf::Message& request,
                                                    std::function<void(const AdmittedCall&)> body, FilesOfCall files) {
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  std::shared_ptr<const AdmittedCall> call;  // counts until the answer is given
  const grpc::Status refusal = boundary_.let_in(method, [&] {
    call = boundary_.admit(context, method);
    check_size(request.ByteSizeLong());
  });
  if (!refusal.ok()) {
    reactor->Finish(refusal);
    return reactor;
  }
  const auto refuse = [this, reactor, method](const std::exception_ptr& failure) {
    reactor->Finish(boundary_.answer(method, [&] { std::rethrow_exception(failure); }));
  };
  const std::string caller = caller_of(context, *call);
  const auto queue = [this, caller, refuse](std::function<void()> work) {
    if (pool_.run(caller, std::move(work))) return;
    refuse(std::make_exception_ptr(too_many_waiting(Refusal::Code::kResourceExhausted)));
  };
  const auto answer = [this, reactor, method, call, body = std::move(body)] {
    reactor->Finish(boundary_.answer(method, [&] { body(*call); }));
  };
  if (!files) {
    queue(answer);
    return reactor;
  }
  queue([this, caller, refuse, queue, answer, files = std::move(files)] {
    std::vector<std::filesystem::path> asked;
    try {
      asked = shared_.read(files);
    } catch (...) {
      return refuse(std::current_exception());
    }
    files_.run({.caller = caller,
                .files = asked,
                .work = [asked] { return answered_by_all(asked); },
                .done =
                    [refuse, queue, answer](const FileAnswer& found) {
                      if (found.failure != nullptr) return refuse(found.failure);
                      queue(answer);
                    }});
  });
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
                                                     Call call, FilesOfCall files) {
  return serve(
      context, method, request,
      [this, &response, call = std::move(call)](const AdmittedCall& admitted) {
        response = shared_.run([&](JobController& core) -> Response {
          if constexpr (std::is_invocable_v<const Call&, JobController&, const std::string&>) {
            return call(core, admitted.name());
          } else {
            return call(core);
          }
        });
        shared_.wake();
      },
      std::move(files));
}

grpc::ServerUnaryReactor* TrainingJobService::CreateTrainingJob(grpc::CallbackServerContext* context,
                                                                const v1::CreateTrainingJobRequest* request,
                                                                v1::TrainingJob* response) {
  return change(
      *context, "CreateTrainingJob", *request, *response,
      [request](JobController& core, const std::string& caller) {
        return core.training_jobs().create(*request, caller);
      },
      [request](JobController& core) { return core.training_jobs().files_of(*request); });
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
  return change(
      *context, "ForkTrainingJob", *request, *response,
      [request](JobController& core, const std::string& caller) { return core.training_jobs().fork(*request, caller); },
      [request](JobController& core) { return core.training_jobs().files_of(*request); });
}

grpc::ServerUnaryReactor* TrainingJobService::DeleteTrainingJob(grpc::CallbackServerContext* context,
                                                                const v1::DeleteTrainingJobRequest* request,
                                                                google::protobuf::Empty* response) {
  return change(
      *context, "DeleteTrainingJob", *request, *response,
      [request](JobController& core) {
        core.training_jobs().remove(*request);
        return google::protobuf::Empty();
      },
      [request](JobController& core) { return core.training_jobs().files_of(*request); });
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

}  // namespace equipoise::coordinator
