// The coordinator's core: every decision, and no thread, socket, process or file of a job. The same calls at the same
// times give the same answers.
#pragma once

#include "coordinator/job/attempt_supervisor.h"
#include "coordinator/job/file_errands.h"
#include "coordinator/job/host_calls.h"
#include "coordinator/job/job_cleaner.h"
#include "coordinator/job/job_history.h"
#include "coordinator/job/job_table.h"
#include "coordinator/job/output_folders.h"
#include "coordinator/job/random_source.h"
#include "coordinator/job/training_jobs.h"
#include "coordinator/job/worker_calls.h"
#include "coordinator/launch/launcher.h"
#include "coordinator/lifecycle/clock.h"

namespace equipoise::coordinator {

struct ControllerSettings {
  JobLimits limits;
  SupervisorSettings supervisor;
  OutputSettings outputs;
  CleanerSettings cleaner;
};

// What is passed in, and outlives the core: time, randomness, storage, metrics, processes, work on files.
struct Dependencies {
  const Clock& clock;
  RandomSource& random_source;
  JobStore& store;
  JobMetrics& metrics;
  Launcher& launcher;
  FileErrands* errands = nullptr;  // null: they are done at once
};

// Not thread-safe.
class JobController {
 public:
  // Reads the jobs, goes on with the attempts of an earlier coordinator that are found, and ends those that were lost.
  JobController(const ControllerSettings& settings, const Dependencies& dependencies)
      : table_(dependencies.clock, dependencies.store, dependencies.metrics, dependencies.errands),
        outputs_(settings.outputs, dependencies.errands),
        attempts_(settings.supervisor, table_, outputs_, dependencies.launcher, dependencies.random_source),
        training_jobs_(settings.limits, table_, outputs_, attempts_, dependencies.random_source),
        history_(table_),
        host_calls_(table_, attempts_),
        worker_calls_(table_, settings.supervisor.lease, settings.limits.history_bytes),
        cleaner_(settings.cleaner, table_, attempts_) {}

  TrainingJobs& training_jobs() { return training_jobs_; }
  JobHistory& history() { return history_; }
  HostCalls& host_calls() { return host_calls_; }
  WorkerCalls& worker_calls() { return worker_calls_; }
  AttemptSupervisor& attempts() { return attempts_; }
  JobCleaner& cleaner() { return cleaner_; }
  JobTable& table() { return table_; }

 private:
  JobTable table_;
  OutputFolders outputs_;
  AttemptSupervisor attempts_;
  TrainingJobs training_jobs_;
  JobHistory history_;
  HostCalls host_calls_;
  WorkerCalls worker_calls_;
  JobCleaner cleaner_;
};

}  // namespace equipoise::coordinator
