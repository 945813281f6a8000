// All jobs, in memory and on disk alike: a change of state is on disk before anybody sees it. What happens to a job
// whether it can be stored or not, such as the end of its processes, is kept and stored as soon as that can be done.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/config/job_config.h"
#include "coordinator/job/attempt_tokens.h"
#include "coordinator/job/file_errands.h"
#include "coordinator/job/job_etag.h"
#include "coordinator/job/training.h"
#include "coordinator/launch/hostfile.h"
#include "coordinator/launch/launcher.h"
#include "coordinator/lifecycle/clock.h"
#include "coordinator/lifecycle/job_lifecycle.h"
#include "coordinator/membership/membership.h"
#include "coordinator/membership/step_times.h"
#include "coordinator/metrics/job_metrics.h"
#include "coordinator/store/job_store.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// Of a job that is RUNNING: until when its time is counted and stored, and the running time at which it is to leave.
struct RunningAccount {
  SteadyTime counted, stored;
  std::chrono::milliseconds end{};  // with launch.time_limit_seconds
};

struct JobRecord {
  std::int64_t sequence = 0;
  v1::TrainingJob job;
  EtagBasis etag_basis = {};  // of `job`, when its etag was made
  // job.spec(), read once. None of a job that another version of the program stored and whose spec this one refuses.
  std::unique_ptr<const JobConfig> config;
  std::string spec_refusal;                   // why there is none; empty where there is one
  std::string damage;                         // why nothing can be made of its record: `job` is FAILED, in memory only
  DesiredState desired = DesiredState::kRun;  // as it was stored when the coordinator started
  JobLifecycle lifecycle;                     // mirrored into `job`
  std::optional<JobLifecycle> unstored;       // where the job is since then, which could not be stored yet
  bool has_news = false;                      // `job` says more than what is stored of it
  std::string attempt_token;                  // of the attempt the coordinator launched
  // SHA-256 of it, of one that an earlier coordinator launched; of one that a user has, of rank 0's host and process.
  std::string attempt_token_hash;
  bool is_taken_over = false;             // the attempt, from an earlier coordinator
  std::optional<SteadyTime> back_by;      // when all its ranks must have been heard of; nullopt: they have
  std::optional<Membership> members;      // of the newest attempt, since this coordinator started
  std::vector<HostSlots> hosts;           // of that attempt, which its ranks fill in their order; empty: not known
  std::chrono::seconds start_timeout{};   // of that attempt
  std::optional<SteadyTime> register_by;  // when all its ranks must have registered; nullopt: they have
  // RECOVERING, its processes have ended: when it may start again.
  // Or QUEUED, and its last attempt may have left ranks on other hosts.
  std::optional<SteadyTime> restart_at;
  bool must_leave = false;                // RUNNING: its ranks are to make a checkpoint and leave, for a reason of ours
  std::optional<SteadyTime> leave_by;     // with must_leave, for a job of a higher priority: when they are ended
  std::optional<SteadyTime> stays_until;  // its ranks could not leave: when they may be asked again
  std::optional<RunningAccount> running;
  // Changes of `job` that people see once they are stored (JobTable::note).
  std::vector<std::function<void(v1::TrainingJob&)>> unshown;
  std::optional<Training> training;  // likewise
  bool waits_for_room = false;       // rank 0, as its newest heartbeat says
  StepTimes step_times;              // of all attempts since this coordinator started
  std::int64_t most_steps = 0;       // that an attempt has done, as far as this coordinator knows

  // Where the job is, stored or not: what is done with its processes follows from this.
  const JobLifecycle& intended() const { return unstored ? *unstored : lifecycle; }
  // Throws Refusal kFailedPrecondition where there is none.
  const JobConfig& checked_config() const;
};

// A revision above all that an earlier coordinator can have shown of a job whose newest stored one this is: watchers
// see many that are never stored. Its upper bits count the restarts, its lower 40 the changes since.
std::int64_t revision_after_restart(std::int64_t stored);

// The job as people see it once it is set aside: FAILED, or as it was with a condition where it was final. Its revision
// is above all that was shown of it.
v1::TrainingJob set_aside(v1::TrainingJob job, const std::string& why, WallTime now);
// What may be told of a job whose record is damaged.
v1::TrainingJob readable_part(const StoredJob& stored);

// Not thread-safe.
class JobTable {
 public:
  // Reads all jobs from `store`; one that cannot be read is set aside, and its record left as it is. All outlive it.
  //   errands  null: they are done at once
  JobTable(const Clock& clock, JobStore& store, JobMetrics& metrics, FileErrands* errands = nullptr);

  using Jobs = std::map<std::int64_t, JobRecord>;  // by sequence: oldest first
  Jobs& jobs() { return jobs_; }
  const Clock& clock() const { return clock_; }
  JobStore& store() { return store_; }
  JobMetrics& metrics() { return metrics_; }
  FileErrands& errands() { return errands_ != nullptr ? *errands_ : errands_at_once_; }
  // Of jobs that are here; from any thread.
  AttemptTokens& attempt_tokens() { return attempt_tokens_; }

  bool contains(const std::string& id) const { return sequence_of_.contains(id); }
  // Throws Refusal kNotFound.
  JobRecord& find(const std::string& id);
  // `config` is what make_job_config makes of job.spec().
  JobRecord& insert(v1::TrainingJob job, JobConfig config);
  // People do not see it any more; what it has left goes later (JobCleaner).
  void erase(const std::string& id);
  // Metrics have jobs that have not ended, and those that ended in the last 15 minutes, the last 100 of them.
  void remove_old_series();
  // Metrics have what jobs have done since the last call; once a second is often enough.
  void show_time();

  // The job moved by `event`, and by `edit` if it moves; stored by `save`, then shown. False: the event changes
  // nothing. Throws StoreError, and has then changed nothing.
  using Edit = std::function<void(v1::TrainingJob&)>;
  using Save = std::function<void(const v1::TrainingJob&)>;
  bool apply(JobRecord& record, const JobEvent& event, const Edit& edit = {}, const Save& save = {});
  // In memory only, of a job whose records turn out to be damaged; a final one stays as it is. What could not be stored
  // of it never is.
  void set_aside_for_now(JobRecord& record, const std::string& why);
  // The job as `job` says, whose state is as before: stored with a later revision, then shown. Throws StoreError, and
  // has then changed nothing.
  //   request  what people have asked for, in one sentence: an event of the job. Empty: nothing
  void replace(JobRecord& record, v1::TrainingJob job, const std::string& request = "");
  // As apply(), for what has happened whether it can be stored or not. Where it cannot, the job is as people have seen
  // it, record.intended() says how it is, and store_unstored() tries again. Throws nothing of the store.
  void settle(JobRecord& record, const JobEvent& event);
  // What the end of the processes of its newest attempt tells of how that has failed. Throws nothing of the store.
  void add_end_of_failure(JobRecord& record, const LaunchExit& exit, bool was_asked_to_end);
  // A sentence of what has become of that attempt later: a condition, and in the record of its failure where it has
  // one. Throws nothing of the store.
  void tell_of_attempt(JobRecord& record, std::int64_t generation, const std::string& sentence);
  // The job as `edit` makes it, whatever state it is in: stored now or with a later store_unstored(). People see it at
  // once only where the next coordinator shows a later revision in any case; else a revision that was shown could fall.
  // Throws nothing of the store.
  void note(JobRecord& record, const Edit& edit);
  // `record.job`, which has an attempt, was changed in memory: it is stored now, or with a later store_unstored().
  // Throws nothing of the store.
  void store_soon(JobRecord& record);
  // Throws StoreError where what settle() left cannot be stored now either.
  void store_unstored(JobRecord& record);
  // The same of all jobs, each by itself, and of what store_soon() left; one whose records turn out to be damaged is
  // set aside for now. Throws nothing of the store.
  void store_unstored();

  // Until release(), nothing is stored that needs room but ends of jobs, and cancels and deletes: StoreError with
  // `why`. Jobs with an attempt are told, as their ranks wait.
  void hold(const std::string& why);
  void release();
  bool is_held() const { return !held_because_.empty(); }
  // Before anything else is stored, apart from jobs: throws StoreError while held.
  void check_room() const;
  // The newest write that failed since the last call, of those of which nobody was told; of damage where all are.
  std::optional<StoreError> take_failure() { return std::exchange(failure_, std::nullopt); }
  void note_failure(const StoreError& failure);
  // A condition for each job with an attempt, that does not have it yet.
  void warn_running(const std::string& sentence);

  // `record.job`, which has an attempt, was changed in memory only.
  void bump_revision(JobRecord& record) {
    record.job.set_revision(record.job.revision() + 1);
    renew_etag(record.etag_basis, record.job);
    record.etag_basis = etag_basis(record.job);
    note_change(record.job.id());
  }
  // People see another job than before, or none.
  void note_change(const std::string& id) { changed_.insert(id); }
  // Those of which this was said since the last call.
  std::unordered_set<std::string> take_changed() { return std::exchange(changed_, {}); }

 private:
  JobLifecycle moved_by(const JobRecord& record, const JobEvent& event) const;
  void tell_running(const std::string& sentence);
  void tell(JobRecord& record, const std::string& sentence);
  void store(JobRecord& record, JobLifecycle after, const Edit& edit, const Save& save);
  void store_unshown(JobRecord& record);
  void write(const JobRecord& record, const JobLifecycle& after, const v1::TrainingJob& job);
  void show(JobRecord& record, const JobLifecycle& before);
  void show_stored();
  void show_end(const JobRecord& record);

  struct EndedJob {
    SteadyTime time;
    std::string id;
  };
  const Clock& clock_;
  JobStore& store_;
  JobMetrics& metrics_;
  FileErrands* const errands_;
  ErrandsAtOnce errands_at_once_;
  Jobs jobs_;
  AttemptTokens attempt_tokens_;
  std::string held_because_;
  std::optional<StoreError> failure_;
  std::unordered_map<std::string, std::int64_t> sequence_of_;
  std::unordered_set<std::string> changed_;
  std::deque<EndedJob> ended_;  // with series, the first to end first
  SteadyTime time_shown_;       // by show_time()
};

}  // namespace equipoise::coordinator
