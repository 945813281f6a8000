// mpirun and its shim for every attempt that the coordinator starts, with ends that are told late, twice or by halves,
// and coordinators that are gone meanwhile.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/launch/launcher.h"
#include "tests/coordinator/simulation/simulated_gang.h"

namespace equipoise::coordinator {

class SimulatedLauncher final : public Launcher {
 public:
  using FindJob = std::function<JobPromises&(const std::string& id)>;
  // hosts: those of the coordinator. All outlive it.
  SimulatedLauncher(SimulatedWorld& world, const std::vector<HostSlots>& hosts, FindJob find_job)
      : world_(world), hosts_(hosts), find_job_(std::move(find_job)) {}

  void start(const LaunchRequest& request) override;
  void terminate(const AttemptKey& attempt) override;
  void kill(const AttemptKey& attempt) override;
  std::vector<AttemptKey> find() override;
  void forget(const AttemptKey& attempt) override;

  // A user starts ranks of the job; the coordinator hears of them by their calls alone.
  void start_for_user(JobPromises& job, int workers);
  bool has_ranks_of_user(const std::string& job_id) const;

  // Of those with ranks that run; null: there is none.
  SimulatedGang* any_running();
  void act_all(JobController& core);

  // A second has passed: heartbeats, ends of ranks, and exits that the coordinator hears of.
  void pass(JobController& core, bool with_heartbeats);
  // The coordinator is gone. With its machine, or with its shim, an mpirun is too: its ranks end within the time after
  // which the next coordinator starts others. All others go on by themselves.
  enum class Left { kShims, kNothing };
  void lose_coordinator(Left left);
  // A second without a coordinator.
  void pass_alone();
  // Of those that a coordinator that starts is to find, or may hear of, with every rank there.
  std::vector<AttemptKey> whole() const;

 private:
  struct Process {
    std::unique_ptr<SimulatedGang> gang;
    std::optional<SteadyTime> exits_at = std::nullopt;  // known once its ranks have ended
    int exit_code = 0;
    int exits_told = 0;
    bool is_orphan = false;     // its shim is gone: no coordinator has any hold on it
    bool is_alone = false;      // so is its coordinator, and no other one has found it
    bool was_away = false;      // its coordinator, when it ended
    bool is_forgotten = false;  // its end is stored
    bool hangs = false;         // mpirun does not end by itself
    bool was_killed = false;    // it, not a rank
  };
  static bool is_of_user(const Process& process) { return process.gang->is_of_user(); }
  // mpirun can be asked and ended by the coordinator.
  static bool is_held(const Process& process) { return !process.is_orphan && !is_of_user(process); }
  void lose_shim(Process& process);
  void check_start(const LaunchRequest& request) const;
  void schedule_exit(Process& process);
  void tell_exit(JobController& core, Process& process);

  SimulatedWorld& world_;
  const std::vector<HostSlots>& hosts_;
  const FindJob find_job_;
  std::vector<Process> processes_;
  std::vector<AttemptKey> refused_;  // starts, of which the coordinator has not heard
  int started_by_users_ = 0;
};

}  // namespace equipoise::coordinator
