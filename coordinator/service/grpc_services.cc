#include "coordinator/service/grpc_services.h"

#include <cstddef>
#include <exception>
#include <filesystem>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "coordinator/job/job_making.h"
#include "coordinator/job/refusal.h"
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

constexpr const char* kJobService = "equipoise.v1.TrainingJobService";

}  // namespace

TrainingJobService::TrainingJobService(SharedController& shared, FilePool& files, CallGate& gate, JobMetrics& metrics)
    : shared_(shared),
      boundary_(gate, metrics, "TrainingJobService"),
      pool_({}),
      calls_(pool_, Refusal::Code::kResourceExhausted),
      files_(files) {}

// The work may go on after the answer: what it uses is its own.
template <typename Request>
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

void TrainingJobService::add_to(CallTable& calls) {
  const PeopleCalls people(calls, kJobService, boundary_, calls_, shared_);
  add_readers(people);
  add_changes(people);
  add_making<v1::CreateTrainingJobRequest>(calls, "CreateTrainingJob");
  add_making<v1::ForkTrainingJobRequest>(calls, "ForkTrainingJob");
  calls.add(kJobService, "WatchTrainingJob", boundary_,
            [this](const CallPlace& place) { return new WatchStream(place, shared_.watchers()); });
}

void TrainingJobService::add_readers(const PeopleCalls& people) {
  people.add_reader<v1::GetTrainingJobRequest, v1::TrainingJob>(
      "GetTrainingJob",
      [](JobController& core, const auto& request) { return core.training_jobs().get(request.id()); });
  people.add_reader<v1::ListTrainingJobsRequest, v1::ListTrainingJobsResponse>(
      "ListTrainingJobs", [](JobController& core, const auto& request) { return core.training_jobs().list(request); });
  people.add_reader<v1::ListGroupWeightsRequest, v1::ListGroupWeightsResponse>(
      "ListGroupWeights",
      [](JobController& core, const auto& request) { return core.training_jobs().group_weights(request); });
  people.add_reader<v1::ListRanksRequest, v1::ListRanksResponse>(
      "ListRanks", [](JobController& core, const auto& request) { return core.training_jobs().ranks(request); });
  people.add_reader<v1::ListAttemptsRequest, v1::ListAttemptsResponse>(
      "ListAttempts", [](JobController& core, const auto& request) { return core.history().attempts(request); });
  people.add_reader<v1::ListCheckpointsRequest, v1::ListCheckpointsResponse>(
      "ListCheckpoints", [](JobController& core, const auto& request) { return core.history().checkpoints(request); });
  people.add_reader<v1::ListEventsRequest, v1::ListEventsResponse>(
      "ListEvents", [](JobController& core, const auto& request) { return core.history().events(request); });
}

void TrainingJobService::add_changes(const PeopleCalls& people) {
  people.add_change<v1::CancelTrainingJobRequest, v1::TrainingJob>(
      "CancelTrainingJob",
      [](JobController& core, const auto& request) { return core.training_jobs().cancel(request); });
  people.add_change<v1::PauseTrainingJobRequest, v1::TrainingJob>(
      "PauseTrainingJob", [](JobController& core, const auto& request) { return core.training_jobs().pause(request); });
  people.add_change<v1::ResumeTrainingJobRequest, v1::TrainingJob>(
      "ResumeTrainingJob",
      [](JobController& core, const auto& request) { return core.training_jobs().resume(request); });
  people.add_change<v1::CheckpointTrainingJobRequest, v1::TrainingJob>(
      "CheckpointTrainingJob",
      [](JobController& core, const auto& request) { return core.training_jobs().checkpoint(request); });
  people.add_change<v1::EvaluateTrainingJobRequest, v1::TrainingJob>(
      "EvaluateTrainingJob",
      [](JobController& core, const auto& request) { return core.training_jobs().evaluate(request); });
  people.add_change<v1::UpdateTrainingJobRequest, v1::TrainingJob>(
      "UpdateTrainingJob", [](JobController& core, const auto& request, const std::string& caller) {
        return core.training_jobs().update(request, caller);
      });
  people.add_change<v1::DeleteTrainingJobRequest, google::protobuf::Empty>(
      "DeleteTrainingJob", [](JobController& core, const auto& request) {
        core.training_jobs().remove(request);
        return google::protobuf::Empty();
      });
}

}  // namespace equipoise::coordinator
