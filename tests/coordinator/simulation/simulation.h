// A coordinator's life, or several, with people, ranks, a network, a disk and mpirun that all fail, drawn from one
// number: the same number gives the same events.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/coordinator/simulation/job_promises.h"
#include "tests/coordinator/simulation/simulated_launcher.h"
#include "tests/coordinator/simulation/simulated_world.h"
#include "tests/coordinator/support/simulated_disk.h"

namespace equipoise::coordinator {

// One at a time, as SimulatedDisk.
class Simulation {
 public:
  explicit Simulation(std::uint64_t seed, PlantedFaults planted = {});

  // Events with faults, then none until every job has ended. Throws InvariantBroken.
  void run();
  // A script of every call of people and ranks, and nothing fails but that the coordinator is killed after so many
  // writes to its disk. Throws InvariantBroken.
  void run_script(std::int64_t writes, Loss loss);
  // What has happened so far, a line each.
  const std::vector<std::string>& schedule() const { return world_.schedule; }
  // Of the last run.
  int crashes() const { return crashes_; }
  int steps_on_record() const { return steps_on_record_; }

 private:
  void start();
  void start_once();
  Loss drawn_loss();
  void lose_core();
  void crash();
  void stop_in_order();
  void settle();
  void check();
  void check_records();
  void advance(std::chrono::seconds duration);
  void tick();

  void event();
  void disturb_ranks(std::uint64_t kind);
  void disturb_coordinator(std::uint64_t kind);
  void deliver_late_calls();

  void person();
  void create();
  void ask(JobPromises& job, std::uint64_t wish);
  void wish(JobPromises& job, const std::string& id, std::uint64_t kind);
  void remove(JobPromises& job, const std::string& id);
  JobPromises& promises_of(const std::string& id);

  JobPromises& add_job(v1::CreateTrainingJobRequest request);
  void insist(JobPromises& job, std::uint64_t wish);
  void calm_down();
  void await_rest();
  bool is_at_rest();
  void use_all_slots();

  SimulatedDisk disk_;  // before all that is on it
  SimulatedWorld world_;
  const std::uint64_t seed_;
  ControllerSettings settings_;
  SeededSource source_;
  std::vector<std::unique_ptr<JobPromises>> jobs_;
  SimulatedLauncher launcher_;
  std::optional<JobStore> store_;
  std::optional<JobMetrics> metrics_;
  std::optional<JobController> core_;
  std::optional<Loss> loss_;  // of every crash; absent: drawn
  int crashes_ = 0, steps_on_record_ = 0;
};

}  // namespace equipoise::coordinator
