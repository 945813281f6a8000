// What people ask of the coordinator: create, read, pause, resume, cancel and delete jobs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "coordinator/job/attempt_supervisor.h"
#include "coordinator/job/job_fork.h"
#include "coordinator/job/job_table.h"
#include "coordinator/job/output_folders.h"
#include "coordinator/job/random_source.h"
#include "coordinator/job/step_history.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// Where the next page of a list begins, in a form that only this service can make.
class PageTokens {
 public:
  explicit PageTokens(std::string key) : key_(std::move(key)) {}

  // `list` says which list and which filter: a token of another one is refused. `position` is the list's own.
  std::string make(const std::string& list, std::int64_t position) const;
  // nullopt for the empty token, which means the beginning. Throws std::invalid_argument for one that make() did not
  // make for this list.
  std::optional<std::int64_t> position(const std::string& list, const std::string& token) const;

 private:
  std::string key_;
};

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

  v1::TrainingJob create(const v1::CreateTrainingJobRequest& request);
  const v1::TrainingJob& get(const std::string& id) { return table_.find(id).job; }
  v1::ListTrainingJobsResponse list(const v1::ListTrainingJobsRequest& request);
  v1::TrainingJob cancel(const std::string& id);
  v1::TrainingJob pause(const std::string& id);
  v1::TrainingJob resume(const std::string& id);
  v1::TrainingJob checkpoint(const std::string& id);
  v1::TrainingJob evaluate(const std::string& id);
  v1::TrainingJob fork(const v1::ForkTrainingJobRequest& request);
  v1::TrainingJob update(const v1::UpdateTrainingJobRequest& request);
  void remove(const std::string& id);
  v1::ListGroupWeightsResponse group_weights(const v1::ListGroupWeightsRequest& request);

 private:
  // origin: null for a job that begins by itself
  v1::TrainingJob create_from(const v1::CreateTrainingJobRequest& request, const ForkOrigin* origin);
  std::optional<v1::TrainingJob> stored_answer(const v1::CreateTrainingJobRequest& request, const std::string& digest);
  void check_limits();
  std::string new_id(const std::string& name);

  const JobLimits limits_;
  JobTable& table_;
  OutputFolders& outputs_;
  const AttemptSupervisor& supervisor_;
  RandomSource& random_source_;
  const PageTokens tokens_;
};

}  // namespace equipoise::coordinator
