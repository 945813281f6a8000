// What survives the coordinator: jobs with their events, attempts and checkpoints, what they train on, every applied
// step, and answered requests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/store/database.h"
#include "coordinator/store/job_rows.h"
#include "coordinator/weights/weight_owner.h"
#include "equipoise/v1/training.pb.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

struct StoredJob {
  std::int64_t sequence = 0;  // grows with every job ever made
  v1::TrainingJob job;
  std::string damage = {};  // why `job` is no more than the id; empty where it is whole
  DesiredState desired = DesiredState::kRun;
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

// One generation of a job's ranks. Times are unix seconds, 0 where not yet.
struct StoredAttempt {
  std::int64_t generation = 0;
  std::optional<std::int64_t> start_step = {};  // none until training has started
  std::string start_checkpoint = {};            // empty: from the beginning
  std::string token_hash = {};                  // SHA-256, or empty
  std::string state = {};
  std::string cause = {};  // of its end
  std::optional<int> exit_code = {};
  std::int64_t started_at = 0;
  std::int64_t ended_at = 0;
  std::string launcher = {};  // free text: what is needed to find its processes again
  std::string hosts = {};
};

struct StoredCheckpoint {
  std::int64_t step = 0, generation = 0;
  std::string folder = {};
  std::string manifest_digest = {};
  std::int64_t bytes = 0;
  std::string state = "COMMITTED";  // or DELETED
  std::int64_t created_at = 0;      // unix seconds; 0: now
};

// Something that people want to know of later, such as a change of state.
struct StoredEvent {
  std::int64_t revision = 0;  // of the job
  std::int64_t time = 0;      // unix seconds
  std::string kind = {};      // STATE
  std::string text = {};      // one sentence
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

  // Ascending sequence; a damaged one is among them, also where its page is. What has no name any more: unread().
  std::vector<StoredJob> jobs();
  const std::vector<std::string>& unread() const { return unread_; }  // by the last jobs(), one sentence each
  // Returns its sequence. `request`: absent when the caller gave no request id.
  std::int64_t insert_job(const v1::TrainingJob& job, const std::optional<AnsweredRequest>& request);
  // A change of state is an event, too; that to CANCELLING or CANCELLED makes the desired state CANCEL.
  // desired  what is wanted of the job from now on; nullopt: what was wanted before
  void update_job(const v1::TrainingJob& job, std::optional<DesiredState> desired = std::nullopt);
  // With all that is stored of it; answered requests stay.
  void delete_job(const std::string& id);
  // Ascending revision, those after `after`. Of each job the newest 1,000 are kept.
  std::vector<StoredEvent> events(const std::string& job_id, std::int64_t after, std::int64_t limit);
  // In place of the record of job.id(), which is kept beside it with `why`.
  void set_aside(const v1::TrainingJob& job, const std::string& why);
  std::map<std::string, std::string> jobs_set_aside();  // why, by id; also of jobs that are deleted
  // What SQLite finds wrong with the file itself; empty where it is whole. Tables that replace_damaged_tables() has put
  // aside are not looked at.
  std::vector<std::string> file_faults();
  // Makes tables of which a page is damaged anew: that of jobs from what can be read, those of answered requests,
  // events and the signing key without a row. The damaged ones are kept under another name. A sentence for each.
  std::vector<std::string> replace_damaged_tables();
  // Kept for 30 days, the newest ones where there are too many.
  std::optional<AnsweredRequest> answered_request(const std::string& request_id);
  // How many answered requests are kept, and up to 1 % more; 10,000 unless this says otherwise.
  void set_most_requests(std::int64_t most) { most_requests_ = most; }

  // The job's new state together with that of its attempt. begin_attempt() throws where the generation was used before;
  // end_attempt() stores state, cause, exit code, end and, where they are not empty, launcher and hosts.
  void begin_attempt(const v1::TrainingJob& job, const StoredAttempt& attempt);
  void end_attempt(const v1::TrainingJob& job, const StoredAttempt& attempt,
                   std::optional<DesiredState> desired = std::nullopt);  // as update_job()
  // Where the processes of a running attempt are, once that is known.
  void set_launcher(const std::string& job_id, std::int64_t generation, const std::string& launcher);
  std::vector<StoredAttempt> attempts(const std::string& job_id);  // ascending generation

  // A second commit of one step and generation takes the place of the first.
  void commit_checkpoint(const std::string& job_id, const StoredCheckpoint& checkpoint);
  // Those of all generations at these steps; mark_checkpoint_deleted(): of one.
  void mark_checkpoints_deleted(const std::string& job_id, const std::vector<std::int64_t>& steps);
  void mark_checkpoint_deleted(const std::string& job_id, std::int64_t step, std::int64_t generation);
  std::vector<StoredCheckpoint> checkpoints(const std::string& job_id);  // ascending step, then generation

  // The job's new state together with what it trains on, and with where its attempt starts: at the first step of the
  // plan that was answered, from `start_checkpoint`.
  void start_training(const v1::TrainingJob& job, const StoredTraining& training,
                      const std::string& start_checkpoint = {});
  std::optional<StoredTraining> training(const std::string& job_id, std::int64_t generation);
  // Of the newest generation that started training.
  std::optional<StoredTraining> newest_training(const std::string& job_id);

  void insert_step(const StepKey& key, const StepRecord& record);
  // All of them or none.
  void insert_steps(const std::string& job_id, std::int64_t generation, const std::vector<StepRecord>& records);
  std::optional<StepRecord> step(const StepKey& key);
  std::vector<std::int64_t> generations(const std::string& job_id);  // that have a training or steps, ascending

  // The steps of one attempt.

  StepRange step_range(const std::string& job_id, std::int64_t generation);
  std::optional<StepRecord> last_step(const std::string& job_id, std::int64_t generation);

  // The lineage of a job: a step of a generation belongs to it as long as no later generation has started at or below
  // it. Each step is there once.

  // From `first` on, ascending; at least one row if there is any.
  std::vector<StepRecord> steps(const std::string& job_id, std::int64_t first, PageLimit limit);
  std::optional<StepRecord> lineage_step(const std::string& job_id, std::int64_t step);

  // Writes to the disk and changes nothing: whether anything can be stored.
  void probe();

  // 32 random bytes made with the database; signs page tokens.
  std::string signing_key();

 private:
  // All three within a transaction.
  void prune_requests();  // before one more comes
  void write_job(const v1::TrainingJob& job, std::optional<DesiredState> desired = std::nullopt);
  void write_event(const v1::TrainingJob& job);
  bool is_whole(const std::string& table);
  void replace_damaged_jobs(std::vector<std::string>& done);
  void replace_by_empty(const std::string& table, std::vector<std::string>& done);

  std::int64_t most_requests_ = 10'000;
  std::int64_t requests_until_pruning_ = 0;
  std::vector<std::string> unread_;
  Database database_;
  Statement insert_job_, select_state_, update_job_, delete_job_, insert_event_, delete_old_events_, select_events_;
  Statement select_request_, insert_request_, delete_old_requests_, delete_excess_requests_;
  Statement insert_attempt_, end_attempt_, set_start_, set_launcher_, select_attempts_;
  Statement insert_checkpoint_, delete_checkpoint_, select_checkpoints_;
  Statement select_training_, select_newest_training_, insert_training_, select_generations_;
  Statement insert_step_, select_step_, select_step_range_, select_last_step_;
  Statement select_steps_, select_lineage_step_, select_key_;
};

}  // namespace equipoise::coordinator
