// Drives reality towards what the job table says: starts queued jobs while there is room, gives up silent ranks, ends
// the processes of jobs that are over.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "coordinator/job/host_watch.h"
#include "coordinator/job/job_queue.h"
#include "coordinator/job/job_table.h"
#include "coordinator/job/output_folders.h"
#include "coordinator/job/random_source.h"
#include "coordinator/job/slot_pool.h"
#include "coordinator/launch/launcher.h"

namespace equipoise::coordinator {

struct SupervisorSettings {
  int max_running_jobs = 1;           // that the coordinator launches itself
  std::vector<HostSlots> hosts = {};  // for the ranks; empty: this machine, or what mpirun finds by itself
  // Of a coordinator without hosts whose ranks run beside it. It is watched like a host; empty: nobody is.
  std::string this_machine = {};
  std::string launcher = "mpirun";  // with what says where ranks are started, for people
  int most_workers = kMostWorkers;  // of a job, without hosts
  LeaseSettings lease;
  PhaseDeadlines deadlines;  // of `training` the least: it is more where steps take long
  HostRules host_rules;
  std::chrono::seconds terminate_grace{10};  // between SIGTERM and SIGKILL
  // For the ranks of a failed job to end by themselves: mpirun ends those that are left within 2 s, and one that is
  // asked to end meanwhile may crash.
  std::chrono::seconds failed_grace{4};
  // The same with ranks on other hosts, and for those of a cancelled job: a rank that ends makes mpirun end the others,
  // for which it takes 4 s over hosts, and one that is asked to end meanwhile ends before its daemons have.
  std::chrono::seconds hosts_grace{6};
  std::chrono::seconds finished_grace{60};  // for mpirun to end after its ranks have finished
  // After launch.start_timeout_seconds, for ranks to say themselves what fails.
  std::chrono::seconds register_grace{10};
  std::chrono::seconds orphan_grace{3};  // for ranks on this machine to end after their coordinator, and mpirun, have
  std::chrono::seconds preemption_grace{120};  // for ranks to leave with a checkpoint, before they are ended
  bool is_last = false;                        // no other coordinator goes on with the jobs of this one
};

// A host as it is now.
struct HostView {
  std::string name;
  int slots = 0;  // 0: it is cordoned, and not in the hostfile any more
  int used_slots = 0;
  int recent_failures = 0;  // within the window of the rules
  bool is_unanswering = false;
  std::optional<HostCordon> cordon = std::nullopt;
  std::vector<std::string> job_ids = {};  // whose attempts have its slots
};

// Not thread-safe.
class AttemptSupervisor {
 public:
  // What a crash left STARTING or RUNNING goes on where the launcher finds its attempt, or where a user has started its
  // ranks, which say themselves that they are there. Else it is RECOVERING from here
  // on where it may start again, and final where not, as is a job that was CANCELLING or whose attempt cannot be
  // loaded. All outlive it.
  AttemptSupervisor(SupervisorSettings settings, JobTable& table, OutputFolders& outputs, Launcher& launcher,
                    RandomSource& random_source);

  // Throws std::invalid_argument where a job of so many ranks can never be launched.
  void check_fits(int workers) const;
  // Does what is due by now. Called several times a second, and after calls that may make something due. What cannot be
  // stored keeps nothing from being done: each job is tried by itself, and JobTable::take_failure() tells of it.
  void tick();
  // The processes of an attempt have ended.
  void handle_exit(const LaunchExit& exit);

  // In the order of the hostfile, then those that are cordoned and not in it.
  std::vector<HostView> hosts() const;
  // Stored with `request`, and in force at once: no attempt is placed on the host. nullopt: it is used again. Throws
  // StoreError, and has then changed nothing.
  void set_cordon(const std::string& host, const std::optional<HostCordon>& cordon,
                  const std::optional<AnsweredRequest>& request);

  // No job starts any more, and those that run go on.
  void hold_launches() { are_launches_held_ = true; }
  // No job starts any more; ranks that train are asked to make a checkpoint and leave, and what has not begun to train
  // is left RECOVERING, as begin_shutdown() does.
  void begin_leaving();
  // Whether ranks that were asked to leave are still there.
  bool are_leaving();
  // No job starts any more; the processes of jobs with an attempt are asked to end, and the jobs are left RECOVERING,
  // for the next coordinator, or fail where they may not start again.
  void begin_shutdown();
  bool is_shutting_down() const { return is_leaving_ || is_shutting_down_; }
  bool has_live_attempts() const { return !attempts_.empty(); }
  // Of any attempt of the job, or there may be some on a host that cannot be asked.
  bool has_processes(const std::string& job_id) const;

 private:
  // Of processes that the launcher has not reported as ended. The job may be gone already.
  struct LiveAttempt {
    std::vector<HostSlots> hosts;  // whose slots it has
    std::optional<SteadyTime> terminate_at = std::nullopt;
    std::optional<SteadyTime> kill_at = std::nullopt;
    bool was_killed = false;
    bool was_found = false;         // of an earlier coordinator
    bool has_failed_hosts = false;  // of which the host watch knows
    // mpirun has ended and could not see to it that ranks on other hosts have: until they must have lost their lease,
    // the slots stay taken, and a job that is being cancelled is not CANCELLED.
    std::optional<LaunchExit> exit = std::nullopt;
    SteadyTime unconfirmed_until{};
  };
  void recover();
  void recover(JobRecord& record);
  static std::string time_limit_text(const JobRecord& record);
  void find_attempts();
  // Whether the newest attempt of the job goes on under this coordinator.
  bool take_over(JobRecord& record);
  void restore_attempt(JobRecord& record);
  void restore_ranks(JobRecord& record);
  void settle_ends_on_record(JobRecord& record);
  void show_taken_over(JobRecord& record);
  std::chrono::seconds delay_of_ranks_left(const JobRecord& record);
  std::chrono::seconds orphan_delay() const;
  void read_progress(const JobConfig& config, v1::TrainingJob& job);
  void renew_leases_after_pause(SteadyTime now);
  void check_ranks(SteadyTime now);
  void check_ranks(JobRecord& record, SteadyTime now);
  void check_start(JobRecord& record, SteadyTime now);
  void check_progress(JobRecord& record, SteadyTime now);
  void schedule_restarts(SteadyTime now);
  SteadyTime::duration drawn_delay(std::chrono::seconds delay);
  void launch_queued(SteadyTime now);
  // `kept` of what is free is that of jobs before this one.
  bool launch_if_it_fits(JobRecord& record, Room& kept, SteadyTime now);
  // False: ranks of an attempt that is over are on this machine yet, and nothing is started beside them.
  bool may_use_this_machine(JobRecord& record);
  // In the order in which they start.
  std::vector<JobRecord*> waiting_jobs();
  std::vector<RoomHolder> room_holders(const JobRecord& wanted, SteadyTime now);
  // Asks running jobs of a lower priority to leave, where that makes enough room. False: none leaves for this one.
  bool make_room(JobRecord& wanted, const Room& needed, const Room& kept, SteadyTime now);
  void check_leaving(SteadyTime now);
  void count_running_time(SteadyTime now);
  void end_running_time(JobRecord& record, std::chrono::seconds limit, SteadyTime now);
  void await_output(JobRecord& record, const std::string& why, SteadyTime now);
  void tell_of_fewer_ranks(JobRecord& record, int workers, int most);
  void launch(JobRecord& record, int workers, std::vector<HostSlots> hosts);
  void await_hosts(JobRecord& record, const LiveAttempt& attempt);
  void settle_unconfirmed(SteadyTime now);
  void settle_pauses();
  void end_unconfirmed(JobRecord& record, const LiveAttempt& attempt);
  // Of an attempt that they have failed, as the hostfile names them; counts once an attempt.
  void note_host_failures(const AttemptKey& key, const std::vector<std::string>& names);
  void note_lost_contact(const LaunchExit& exit);
  void suspect_hosts(const JobRecord* record, const LiveAttempt& attempt);
  // Hosts where ranks have not said that they end: they are asked whether these are gone.
  void suspect_processes(const AttemptKey& key, const LiveAttempt& attempt);
  std::map<std::string, std::vector<HostProcess>> processes_left(const JobRecord& record,
                                                                 const std::vector<HostSlots>& hosts) const;
  // Where a rank was started; empty: nobody can be asked there.
  std::string host_of(int rank, const std::vector<HostSlots>& hosts) const;
  void ask(const std::string& host);
  void tell_of_survivor(const std::string& host, const HostProcess& process);
  void watch_hosts(SteadyTime now);
  void read_cordons();
  void store_cordons();
  HostView view_of(const HostSlots& host) const;
  // Whether the "attempt" asks a host whether it answers, and is none of a job's.
  static bool is_question(const AttemptKey& key);
  bool take_answer(const LaunchExit& exit);
  bool settle_refused_start(const LaunchExit& exit);
  void end_job(const LaunchExit& exit, const std::string& unconfirmed_hosts, bool leaves_processes);
  void remove_attempt(const AttemptKey& key);
  void schedule_termination(SteadyTime now);
  void terminate_due(SteadyTime now);
  void release_outputs();
  void show_metrics(SteadyTime now);
  std::optional<std::chrono::seconds> grace_of(const AttemptKey& key, bool has_hosts);

  const SupervisorSettings settings_;
  JobTable& table_;
  OutputFolders& outputs_;
  Launcher& launcher_;
  RandomSource& random_source_;
  SlotPool slots_;
  HostWatch host_watch_;
  std::set<std::string> unstored_cordons_;  // hosts
  std::map<AttemptKey, LiveAttempt> attempts_;
  std::optional<SteadyTime> last_tick_, metrics_shown_;
  bool are_launches_held_ = false;
  bool is_leaving_ = false;
  bool is_shutting_down_ = false;
};

}  // namespace equipoise::coordinator
