// What survives the coordinator: jobs with their events, attempts and checkpoints, what they train on, every applied
// step, and answered requests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/store/attempt_rows.h"
#include "coordinator/store/database.h"
#include "coordinator/store/deleted_jobs.h"
#include "coordinator/store/host_cordons.h"
#include "coordinator/store/job_rows.h"
#include "coordinator/store/step_rows.h"
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

// A request that carried a request id, and its first answer.
struct AnsweredRequest {
  std::string request_id;
  std::string digest;
  v1::TrainingJob answer;  // kept without its spec
};

// One that is being answered.
struct RequestUnderWay {
  std::string request_id;
  std::string digest;
  std::string job_id;  // empty: of the next new job
};

// Something that people want to know of later, such as a change of state.
// Kinds of events.
inline constexpr const char* kStateEvent = "STATE";      // the text is "STATE: reason"
inline constexpr const char* kRequestEvent = "REQUEST";  // of people, or what became of it

struct StoredEvent {
  std::int64_t revision = 0;  // of the job
  std::int64_t time = 0;      // unix seconds
  std::int64_t generation = 0;
  std::string kind = {};
  std::string text = {};  // one sentence
};

// Every function is one transaction: when it returns, what it wrote is on the disk. All throw StoreError, and have then
// changed nothing. Not thread-safe.
class JobStore {
 public:
  // Opens or makes the database, and brings an older program's up to date. Throws std::invalid_argument where a newer
  // program made it. Makes the file smaller where most of it is free (free_pages.h). kReadOnly changes nothing, and
  // everything below that writes throws.
  explicit JobStore(const std::filesystem::path& file, Access access = Access::kReadWrite);

  // Ascending sequence; a damaged one is among them, also where its page is. What has no name any more: unread().
  std::vector<StoredJob> jobs();
  const std::vector<std::string>& unread() const { return unread_; }  // by the last jobs(), one sentence each
  // Returns its sequence. `request`: absent when the caller gave no request id.
  std::int64_t insert_job(const v1::TrainingJob& job, const std::optional<AnsweredRequest>& request);
  // A change of state is an event, too; that to CANCELLING or CANCELLED makes the desired state CANCEL.
  // desired  what is wanted of the job from now on; nullopt: what was wanted before
  // request  what people have asked of it, in one sentence: another event. Empty: nothing
  void update_job(const v1::TrainingJob& job, std::optional<DesiredState> desired = std::nullopt,
                  const std::string& request = "");
  // People do not see it any more, whatever it holds; what it has left goes through deleted(). Answered requests stay:
  // a repeat gets the first answer, not a second job.
  void delete_job(const std::string& id);
  DeletedJobs& deleted() { return deleted_; }
  // Ascending revision, those after `after`. Of each job the newest 1,000 are kept, and 200 requests among them.
  std::vector<StoredEvent> events(const std::string& job_id, std::int64_t after, std::int64_t limit);
  // Revision of the newest event of each job that has any, of deleted ones too for a while.
  std::map<std::string, std::int64_t> newest_events();
  // From now on take_jobs_with_events() tells of which jobs events were stored since its last call, or nearly were.
  void watch_events() { events_watched_ = true; }
  std::set<std::string> take_jobs_with_events() { return std::exchange(jobs_with_events_, {}); }
  // In place of the record of job.id(), which is kept beside it with `why`.
  void set_aside(const v1::TrainingJob& job, const std::string& why);
  std::map<std::string, std::string> jobs_set_aside();  // why, by id; also of jobs that are deleted
  // Of the file and of the log beside it, on the disk.
  std::uint64_t bytes() const;
  // What SQLite finds wrong with the file itself; empty where it is whole. Tables that replace_damaged_tables() has put
  // aside are not looked at.
  std::vector<std::string> file_faults();
  // Makes tables of which a page is damaged anew: that of jobs from what can be read, those of answered requests,
  // events, deleted jobs and the signing key without a row. The damaged ones are kept under another name. A sentence
  // for each.
  std::vector<std::string> replace_damaged_tables();
  // Kept for 30 days, the newest ones where there are too many.
  std::optional<AnsweredRequest> answered_request(const std::string& request_id);
  void keep_request(const AnsweredRequest& request);
  // Hosts that are left out. `cordon`: nullopt for one that is used again. `request`: as insert_job().
  HostCordons& host_cordons() { return host_cordons_; }
  void set_cordon(const std::string& host, const std::optional<StoredCordon>& cordon,
                  const std::optional<AnsweredRequest>& request = std::nullopt);
  // Until nullopt, what stores the job of `request`, or deletes it, keeps the request in the same transaction, with the
  // job as it is then as the answer.
  void carry(std::optional<RequestUnderWay> request) { carried_ = std::move(request); }
  // How many answered requests are kept, and up to 1 % more; 10,000 unless this says otherwise.
  void set_most_requests(std::int64_t most) { most_requests_ = most; }
  // And of how many bytes their answers are, and up to 1/16 more; 64 MiB unless this says otherwise.
  void set_most_request_bytes(std::int64_t most) { most_request_bytes_ = most; }

  // The job's new state together with that of its attempt. begin_attempt() throws where the generation was used before;
  // end_attempt() stores state, cause, exit code, end and, where they are not empty, launcher and hosts.
  void begin_attempt(const v1::TrainingJob& job, const StoredAttempt& attempt);
  void end_attempt(const v1::TrainingJob& job, const StoredAttempt& attempt,
                   std::optional<DesiredState> desired = std::nullopt);  // as update_job()
  // Where the processes of a running attempt are, once that is known.
  void set_launcher(const std::string& job_id, std::int64_t generation, const std::string& launcher) {
    attempts_.set_launcher(job_id, generation, launcher);
  }
  void set_attempt_failure(const std::string& job_id, const v1::AttemptFailure& failure);
  std::vector<StoredAttempt> attempts(const std::string& job_id) { return attempts_.attempts(job_id); }  // oldest first

  // The last that a rank of an attempt has said of itself; ascending rank.
  void finish_rank(const std::string& job_id, std::int64_t generation, const FinishedRank& rank) {
    attempts_.finish_rank(job_id, generation, rank);
  }
  std::vector<FinishedRank> finished_ranks(const std::string& job_id, std::int64_t generation) {
    return attempts_.finished_ranks(job_id, generation);
  }

  // A second commit of one step and generation takes the place of the first.
  void commit_checkpoint(const std::string& job_id, const StoredCheckpoint& checkpoint) {
    attempts_.commit_checkpoint(job_id, checkpoint);
  }
  // The same with the job's new state, and those at `removed` deleted.
  void commit_checkpoint(const v1::TrainingJob& job, const StoredCheckpoint& checkpoint,
                         const std::vector<std::int64_t>& removed);
  // Those of all generations at these steps; mark_checkpoint_deleted(): of one.
  void mark_checkpoints_deleted(const std::string& job_id, const std::vector<std::int64_t>& steps);
  void mark_checkpoint_deleted(const std::string& job_id, std::int64_t step, std::int64_t generation) {
    attempts_.mark_deleted(job_id, step, generation);
  }
  std::vector<StoredCheckpoint> kept_checkpoints(const std::string& job_id, int most) {
    return attempts_.kept_checkpoints(job_id, most);
  }
  // Ascending step, then generation; kept_checkpoints(): the newest of those that are not deleted, the newest first.
  std::vector<StoredCheckpoint> checkpoints(const std::string& job_id) { return attempts_.checkpoints(job_id); }

  // The job's new state together with what it trains on, and with where its attempt starts: at the first step of the
  // plan that was answered, from `start_checkpoint`. Checkpoints of steps that it does again are DELETED, and that of
  // the job from which it goes on is COMMITTED: nobody may have been told of it, when its attempt ended too early.
  void start_training(const v1::TrainingJob& job, const StoredTraining& training,
                      const std::string& start_checkpoint = {});
  std::optional<StoredTraining> training(const std::string& job_id, std::int64_t generation) {
    return attempts_.training(job_id, generation);
  }
  // Of the newest generation that started training.
  std::optional<StoredTraining> newest_training(const std::string& job_id) { return attempts_.newest_training(job_id); }

  // The steps of one attempt. What is read of a step is what step_rows.h says: coordinator/job/step_history.h has the
  // weights, too.

  void insert_step(const StepKey& key, const StepRecord& record) {
    steps_.insert(key.job_id, key.generation, {&record, 1});
  }
  // All of them or none, with the states that are among them.
  void insert_steps(const std::string& job_id, std::int64_t generation, const std::vector<StepRecord>& records) {
    steps_.insert(job_id, generation, records);
  }
  std::optional<StepRecord> step(const StepKey& key) { return steps_.step(key); }
  std::vector<std::int64_t> trained_generations(const std::string& job_id) {  // that have a training, ascending
    return attempts_.trained_generations(job_id);
  }
  // That have a training or steps, ascending; reads all steps.
  std::vector<std::int64_t> generations(const std::string& job_id) { return attempts_.generations(job_id); }
  StepRange step_range(const std::string& job_id, std::int64_t generation) {
    using Limits = std::numeric_limits<std::int64_t>;
    return steps_.range(job_id, generation, Limits::min(), Limits::max());
  }
  std::optional<StepRecord> last_step(const std::string& job_id, std::int64_t generation) {
    return steps_.last(job_id, generation);
  }

  // The lineage of a job: a step of a generation belongs to it as long as no later generation has started at or below
  // it. Each step is there once.

  // From `first` on, ascending; at least one row if there is any.
  std::vector<StepRecord> steps(const std::string& job_id, std::int64_t first, PageLimit limit) {
    return steps_.lineage(job_id, first, limit);
  }
  std::optional<StepRecord> lineage_step(const std::string& job_id, std::int64_t step) {
    return steps_.lineage_step(job_id, step);
  }
  // Everything else of the steps.
  StepRows& step_rows() { return steps_; }

  // Writes to the disk and changes nothing: whether anything can be stored.
  void probe();

  // 32 random bytes made with the database; signs page tokens.
  std::string signing_key();

 private:
  // These within a transaction.
  void prune_requests(std::int64_t bytes);  // before one more of so many bytes comes
  void write_request(const AnsweredRequest& request);
  void write_carried(const v1::TrainingJob& job, bool is_new);
  void write_job(const v1::TrainingJob& job, std::optional<DesiredState> desired = std::nullopt);
  void write_event(const v1::TrainingJob& job, const std::string& kind, const std::string& text);
  bool is_whole(const std::string& table);
  void replace_damaged_jobs(std::vector<std::string>& done);
  void replace_by_empty(const std::string& table, std::vector<std::string>& done);

  std::int64_t most_requests_ = 10'000;
  std::int64_t most_request_bytes_ = std::int64_t{64} << 20;
  std::int64_t requests_until_pruning_ = 0;
  std::int64_t request_bytes_until_pruning_ = 0;
  std::optional<RequestUnderWay> carried_;
  std::vector<std::string> unread_;
  bool events_watched_ = false;
  std::set<std::string> jobs_with_events_;
  Database database_;
  DeletedJobs deleted_;
  HostCordons host_cordons_;
  AttemptRows attempts_;
  StepRows steps_;
  Statement insert_job_, select_state_, update_job_, delete_job_, insert_event_, delete_old_events_;
  Statement delete_old_requests_of_people_, select_events_;
  Statement select_request_, insert_request_, delete_old_requests_, delete_excess_requests_;
  Statement delete_excess_bytes_;
  Statement select_key_;
};

// While it is there, `store` carries the request.
class CarriedRequest {
 public:
  CarriedRequest(JobStore& store, RequestUnderWay request) : store_(store) { store_.carry(std::move(request)); }
  ~CarriedRequest() { store_.carry(std::nullopt); }
  CarriedRequest(const CarriedRequest&) = delete;
  CarriedRequest& operator=(const CarriedRequest&) = delete;

 private:
  JobStore& store_;
};

}  // namespace equipoise::coordinator
