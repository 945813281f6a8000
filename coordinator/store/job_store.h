// What survives the coordinator: jobs, what they train on, every applied step, and answered requests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/store/database.h"
#include "coordinator/store/deleted_jobs.h"
#include "coordinator/weights/weight_owner.h"
#include "equipoise/v1/training.pb.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

struct StoredJob {
  std::int64_t sequence = 0;  // grows with every job ever made
  v1::TrainingJob job;
  std::string damage = {};  // why `job` is no more than the id; empty where it is whole
};

// A create request that carried a request id, and its first answer.
struct AnsweredRequest {
  std::string request_id;
  std::string digest;
  v1::TrainingJob answer;
};

struct StoredTraining {
  v1::StartTrainingRequest request;
  v1::StartTrainingResponse response;
};

// Where a step stands: the key of its record.
struct StepKey {
  std::string job_id;
  std::int64_t generation = 0;
  std::int64_t step = 0;
};

// Of the steps of an attempt: without gaps `count` is last - first + 1.
struct StepRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::int64_t count = 0;  // 0: none
};

struct PageLimit {
  std::int64_t rows = 0;
  std::size_t bytes = 0;
};

// Every function is one transaction: when it returns, what it wrote is on the disk. All throw StoreError, and have then
// changed nothing. Not thread-safe.
class JobStore {
 public:
  // Opens or makes the database, and brings an older program's up to date. Throws std::invalid_argument where a newer
  // program made it. kReadOnly changes nothing, and everything below that writes throws.
  explicit JobStore(const std::filesystem::path& file, Access access = Access::kReadWrite);

  std::vector<StoredJob> jobs();  // ascending sequence; a damaged one is among them
  // Returns its sequence. `request`: absent when the caller gave no request id.
  std::int64_t insert_job(const v1::TrainingJob& job, const std::optional<AnsweredRequest>& request);
  void update_job(const v1::TrainingJob& job);
  // People do not see it any more, whatever it holds; what it has left goes through deleted(). Answered requests stay:
  // a repeat gets the first answer, not a second job.
  void delete_job(const std::string& id);
  DeletedJobs& deleted() { return deleted_; }
  // Makes the file smaller by up to 1 MiB where much of it holds nothing; false where it does not.
  bool shrink_file();
  // In place of the record of job.id(), which is kept beside it with `why`.
  void set_aside(const v1::TrainingJob& job, const std::string& why);
  std::map<std::string, std::string> jobs_set_aside();  // why, by id; also of jobs that are deleted
  // What SQLite finds wrong with the file itself; empty where it is whole.
  std::vector<std::string> file_faults();
  // Kept for 30 days, the newest ones where there are too many.
  std::optional<AnsweredRequest> answered_request(const std::string& request_id);
  // How many answered requests are kept, and up to 1 % more; 10,000 unless this says otherwise.
  void set_most_requests(std::int64_t most) { most_requests_ = most; }

  // The job's new state together with what it trains on.
  void start_training(const v1::TrainingJob& job, const StoredTraining& training);
  std::optional<StoredTraining> training(const std::string& job_id, std::int64_t generation);
  // Of the newest generation that started training.
  std::optional<StoredTraining> newest_training(const std::string& job_id);

  void insert_step(const StepKey& key, const StepRecord& record);
  // All of them or none.
  void insert_steps(const std::string& job_id, std::int64_t generation, const std::vector<StepRecord>& records);
  std::optional<StepRecord> step(const StepKey& key);
  std::vector<std::int64_t> generations(const std::string& job_id);  // that have a training or steps, ascending
  StepRange step_range(const std::string& job_id, std::int64_t generation);
  std::optional<StepRecord> last_step(const std::string& job_id, std::int64_t generation);
  // From `first` on, ascending, each step of the newest generation that reached it; at least one row if there is any.
  std::vector<StepRecord> steps(const std::string& job_id, std::int64_t first, PageLimit limit);

  // 32 random bytes made with the database; signs page tokens.
  std::string signing_key();

 private:
  // Within a transaction, before one more comes.
  void prune_requests();

  std::int64_t most_requests_ = 10'000;
  std::int64_t requests_until_pruning_ = 0;
  Database database_;
  DeletedJobs deleted_;
  Statement select_jobs_, insert_job_, update_job_, delete_job_;
  Statement select_request_, insert_request_, delete_old_requests_, delete_excess_requests_;
  Statement select_training_, select_newest_training_, insert_training_, select_generations_;
  Statement insert_step_, select_step_, select_step_range_, select_last_step_, select_steps_, select_key_;
};

}  // namespace equipoise::coordinator
