// What people ask of the coordinator: create, read, pause, resume, cancel and delete jobs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/job/answered_requests.h"
#include "coordinator/job/attempt_supervisor.h"
#include "coordinator/job/job_fork.h"
#include "coordinator/job/job_making.h"
#include "coordinator/job/job_table.h"
#include "coordinator/job/output_folders.h"
#include "coordinator/job/page_tokens.h"
#include "coordinator/job/random_source.h"
#include "coordinator/job/step_history.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

struct JobLimits {
  std::size_t jobs = 10'000;
  std::size_t queued = 1'000;
  std::size_t spec_bytes = 256 * 1024;
  std::size_t page_bytes = 2 * 1024 * 1024;        // half of what a gRPC client takes unless told otherwise
  std::int64_t history_bytes = kMostHistoryBytes;  // of the steps of one job
};

// One function for each RPC of TrainingJobService but Watch; the codes are those of training.proto, as
// std::invalid_argument, Refusal and StoreError. What a call makes due is done by the supervisor's next tick(). Not
// thread-safe.
class TrainingJobs {
 public:
  TrainingJobs(JobLimits limits, JobTable& table, OutputFolders& outputs, const AttemptSupervisor& supervisor,
               RandomSource& random_source);

  // With the request ids and etags of the requests (answered_requests.h); a call that changes something has its line.
  //   requester  as SettingsChange.requester
  v1::TrainingJob create(const v1::CreateTrainingJobRequest& request, const std::string& requester = "") {
    Alone alone{*this};
    return make_job(alone, request, requester);
  }
  v1::TrainingJob cancel(const v1::CancelTrainingJobRequest& request) {
    return requests_.once("CancelTrainingJob", request, [&] { return cancel(request.id()); });
  }
  v1::TrainingJob pause(const v1::PauseTrainingJobRequest& request) {
    return requests_.once("PauseTrainingJob", request, [&] { return pause(request.id()); });
  }
  v1::TrainingJob resume(const v1::ResumeTrainingJobRequest& request) {
    return requests_.once("ResumeTrainingJob", request, [&] { return resume(request.id()); });
  }
  v1::TrainingJob checkpoint(const v1::CheckpointTrainingJobRequest& request) {
    return requests_.once("CheckpointTrainingJob", request, [&] { return checkpoint(request.id()); });
  }
  v1::TrainingJob evaluate(const v1::EvaluateTrainingJobRequest& request) {
    return requests_.once("EvaluateTrainingJob", request, [&] { return evaluate(request.id()); });
  }
  v1::TrainingJob update(const v1::UpdateTrainingJobRequest& request, const std::string& requester = "") {
    return requests_.once("UpdateTrainingJob", request, [&] { return change_settings(request, requester); });
  }
  v1::TrainingJob fork(const v1::ForkTrainingJobRequest& request, const std::string& requester = "") {
    Alone alone{*this};
    return make_job(alone, request, requester);
  }
  void remove(const v1::DeleteTrainingJobRequest& request);
  // The parts of create() and fork() that are the core's (job_making.h), where others may be served between them. What
  // was noted is finished, which may be tried again where it could not be stored, or else abandoned.
  JobMaking begin(const v1::CreateTrainingJobRequest& request, const std::string& requester);
  JobMaking begin(const v1::ForkTrainingJobRequest& request, const std::string& requester);
  // Once its file systems have answered. A repeat of the call is refused from now on, Refusal kUnavailable.
  void note(const v1::CreateTrainingJobRequest& request, JobMaking& making);
  void note(const v1::ForkTrainingJobRequest& request, JobMaking& making);
  v1::TrainingJob finish(const v1::CreateTrainingJobRequest& request, JobMaking& making);
  v1::TrainingJob finish(const v1::ForkTrainingJobRequest& request, JobMaking& making);
  void abandon(const JobMaking& making);
  OutputFolders& outputs() { return outputs_; }

  const v1::TrainingJob& get(const std::string& id) { return table_.find(id).job; }
  v1::ListTrainingJobsResponse list(const v1::ListTrainingJobsRequest& request);
  v1::TrainingJob cancel(const std::string& id);
  v1::TrainingJob pause(const std::string& id);
  v1::TrainingJob resume(const std::string& id);
  v1::TrainingJob checkpoint(const std::string& id);
  v1::TrainingJob evaluate(const std::string& id);
  void remove(const std::string& id);
  v1::ListGroupWeightsResponse group_weights(const v1::ListGroupWeightsRequest& request);
  // Records from step `first` on, from 0, at most so many.
  v1::ListGroupWeightsResponse group_weights_from(const std::string& id, std::int64_t first, int most);
  v1::ListRanksResponse ranks(const v1::ListRanksRequest& request);

 private:
  v1::TrainingJob keep_request(JobRecord& record, v1::TrainingJob job, const std::string& what);
  struct WeightPage {
    v1::ListGroupWeightsResponse response;
    std::optional<std::int64_t> next_step;  // that the next page begins with
  };
  WeightPage weight_page(const std::string& id, std::int64_t first, int page_size);
  v1::TrainingJob change_settings(const v1::UpdateTrainingJobRequest& request, const std::string& requester);
  // Nobody but this call.
  struct Alone {
    template <typename Call>
    decltype(auto) look(const Call& call) {
      return call(jobs);
    }
    template <typename Call>
    decltype(auto) change(const Call& call) {
      return call(jobs);
    }
    template <typename Call>
    void end(const Call& call) {
      call(jobs);
    }
    void reach(const std::filesystem::path& /*file*/) {}
    TrainingJobs& jobs;
  };
  void check(JobMaking& making);
  void note(JobMaking& making);
  v1::TrainingJob stored(JobMaking& making);
  void check_limits();
  std::string new_id(const std::string& name);

  const JobLimits limits_;
  JobTable& table_;
  AnsweredRequests requests_;
  OutputFolders& outputs_;
  const AttemptSupervisor& supervisor_;
  RandomSource& random_source_;
  const PageTokens tokens_;
  std::map<std::string, std::string> in_making_;  // jobs whose call has not ended, with its request id
  const std::shared_ptr<DrawnNames> drawn_names_ = std::make_shared<DrawnNames>();
};

}  // namespace equipoise::coordinator
