// mpirun for every attempt that the coordinator starts, with ends that are told late, twice or by halves.
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

  // Of those with ranks that run; null: there is none.
  SimulatedGang* any_running();
  void act_all(JobController& core);

  // A second has passed: heartbeats, ends of ranks, and exits that the coordinator hears of.
  void pass(JobController& core, bool with_heartbeats);
  // The coordinator is gone, and with it every mpirun: ranks end within the time after which the next one starts
  // others.
  void lose_coordinator();

 private:
  struct Process {
    std::unique_ptr<SimulatedGang> gang;
    std::optional<SteadyTime> exits_at = std::nullopt;  // known once its ranks have ended
    int exit_code = 0;
    int exits_told = 0;
    bool is_orphan = false;   // of a coordinator that is gone
    bool hangs = false;       // mpirun does not end by itself
    bool was_killed = false;  // it, not a rank
  };
  void check_start(const LaunchRequest& request) const;
  void schedule_exit(Process& process);
  void tell_exit(JobController& core, Process& process);

  SimulatedWorld& world_;
  const std::vector<HostSlots>& hosts_;
  const FindJob find_job_;
  std::vector<Process> processes_;
};

}  // namespace equipoise::coordinator
