// The core with a clock and a launcher that the test moves, and a real database.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "coordinator/job/job_controller.h"
#include "coordinator/job/refusal.h"
#include "coordinator/launch/launcher.h"
#include "tests/coordinator/support/fake_clock.h"
#include "tests/coordinator/support/requests.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {

// A launcher that starts nothing and remembers what it was asked; the test says when an attempt ends.
class RecordingLauncher final : public Launcher {
 public:
  void start(const LaunchRequest& request) override {
    if (!interruption.empty()) throw LaunchInterrupted(interruption);
    if (!refusal.empty()) throw PeerError(refusal);
    started.push_back(request);
  }
  void terminate(const AttemptKey& attempt) override { terminated.push_back(attempt); }
  void kill(const AttemptKey& attempt) override { killed.push_back(attempt); }
  std::vector<AttemptKey> find() override { return found; }
  void forget(const AttemptKey& attempt) override { forgotten.push_back(attempt); }

  std::string refusal, interruption;
  std::vector<LaunchRequest> started;
  std::vector<AttemptKey> terminated;
  std::vector<AttemptKey> killed;
  std::vector<AttemptKey> found;
  std::vector<AttemptKey> forgotten;
};

class ControllerFixture : public ::testing::Test {
 protected:
  ControllerFixture() { restart(); }

  // As after a crash: nothing but the database is left, and the processes of `found`.
  void restart(std::vector<AttemptKey> found = {}) {
    core_.reset();
    store_.reset();
    metrics_.emplace();
    launcher_ = RecordingLauncher();
    launcher_.found = std::move(found);
    store_.emplace(folder_.path() / "test.sqlite3");
    core_.emplace(settings_, Dependencies{.clock = clock_,
                                          .random_source = random_source_,
                                          .store = *store_,
                                          .metrics = *metrics_,
                                          .launcher = launcher_});
  }
  // A job in RUNNING with all its ranks registered, in its first generation.
  std::string running_job(v1::LaunchMode mode, int workers) { return running_job(two_group_spec(mode, workers)); }
  std::string running_job(const v1::JobSpec& spec) {
    const int workers = spec.launch().workers();
    const std::string id = jobs().create(create_request(spec)).id();
    core_->attempts().tick();
    for (int rank = 0; rank < workers; ++rank) calls().register_worker(registration(id, rank, workers));
    calls().start_training(start_request(id, 1));
    return id;
  }
  v1::RegisterWorkerRequest registration(const std::string& id, int rank, int world_size) {
    auto request = register_request(id, rank == 0 ? 0 : 1, rank, world_size);
    if (!launcher_.started.empty()) request.set_attempt_token(launcher_.started.back().token);
    return request;
  }
  void do_all_steps(const std::string& id) {
    for (int step = 0; step < 10; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
  }
  // Of the newest step, as rank 0 makes it after its last report: what the next attempt goes on from.
  v1::ResumePoint checkpoint(const std::string& id) {
    v1::GetGroupWeightsRequest request;
    request.set_job_id(id);
    request.set_generation(job(id).generation());
    const v1::WeightState state = calls().group_weights(request).state();
    calls().commit_checkpoint(commit_request(id, job(id).generation(), state.steps()));
    return resume_point(id, job(id).generation(), state);
  }
  void mpirun_exits(const std::string& id, int code, const std::string& line = "") {
    core_->attempts().handle_exit(
        {.attempt = {.job_id = id, .generation = job(id).generation()}, .exit_code = code, .last_line = line});
  }
  // Second by second, as a coordinator that keeps running sees it.
  void pass(std::chrono::seconds duration) {
    for (std::chrono::seconds second{0}; second < duration; ++second) {
      clock_.advance(std::chrono::seconds(1));
      core_->attempts().tick();
    }
  }
  TrainingJobs& jobs() { return core_->training_jobs(); }
  WorkerCalls& calls() { return core_->worker_calls(); }
  const v1::TrainingJob& job(const std::string& id) { return jobs().get(id); }

  // The code and text of what `call` throws; nullopt code: std::invalid_argument.
  struct CallError {
    std::optional<Refusal::Code> code;
    std::string text;
  };
  static CallError error_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Refusal& refusal) {
      return {.code = refusal.code(), .text = refusal.what()};
    } catch (const std::invalid_argument& wrong) {
      return {.code = std::nullopt, .text = wrong.what()};
    }
    return {.code = std::nullopt, .text = "no error"};
  }

  TempFolder folder_;
  FakeClock clock_;
  SystemRandomSource random_source_;
  ControllerSettings settings_;
  RecordingLauncher launcher_;
  std::optional<JobStore> store_;
  std::optional<JobMetrics> metrics_;
  std::optional<JobController> core_;
};

}  // namespace equipoise::coordinator
