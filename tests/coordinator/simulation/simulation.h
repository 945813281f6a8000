// A coordinator's life, or several, with people, ranks, a network, a disk and mpirun that all fail, drawn from one
// number: the same number gives the same events.
#pragma once

#include <cstdint>
#include <filesystem>
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
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

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
  int takeovers() const { return world_.takeovers; }  // of attempts with ranks that run
  int changes() const;                                // of settings that have taken effect
  int forks() const;                                  // that have begun to train

 private:
  void start();
  void start_once();
  Loss drawn_loss();
  void lose_core();
  void crash();
  void be_away();
  void stop_in_order();
  void end_in_order();
  void keep_in_order();
  void settle();
  void check();
  void check_records();
  void check_taken_over();
  void check_links();
  void advance(std::chrono::seconds duration);
  void tick();

  void event();
  void disturb_ranks(std::uint64_t kind);
  void disturb_coordinator(std::uint64_t kind);
  void deliver_late_calls();

  void person();
  void create();
  void fork();
  void users_start_ranks();
  v1::CreateTrainingJobRequest drawn_request(v1::LaunchMode mode);
  v1::ForkTrainingJobRequest drawn_fork(const JobPromises& parent);
  void change_settings(JobPromises& job, const std::string& id);
  void ask(JobPromises& job, std::uint64_t wish);
  void wish(JobPromises& job, const std::string& id, std::uint64_t kind);
  void remove(JobPromises& job, const std::string& id);
  JobPromises& promises_of(const std::string& id);

  template <typename Request>
  JobPromises& add_job(Request request);
  void insist(JobPromises& job, std::uint64_t wish);
  void calm_down();
  void await_rest();
  bool is_at_rest();
  void use_all_slots();
  void delete_all();

  SimulatedDisk disk_;  // before all that is on it
  SimulatedWorld world_;
  const std::uint64_t seed_;
  const std::filesystem::path folder_;  // of outputs
  int asked_ = 0;                       // requests with an id of their own
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
