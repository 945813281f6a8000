// A coordinator of our own, and jobs that are run on it to their end, one after the other.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>

#include "client/connection/follow_job.h"
#include "client/connection/interrupts.h"
#include "client/connection/job_inbox.h"
#include "client/coordinator_process.h"
#include "client/private_folder.h"
#include "client/progress/progress_display.h"

namespace equipoise {

// While it lives, Ctrl-C reaches the job that runs, or the next one: it is cancelled. Not thread-safe. Make it before
// anything that starts threads.
class PrivateService {
 public:
  // Starts the coordinator's program beside this one. `log_level`: of its log; empty: its own. Throws as
  // CoordinatorProcess does.
  explicit PrivateService(const std::string& log_level);

  // The job, succeeded. `spec` is for the coordinator to launch. Throws CommandError if it did not succeed, with the
  // place of a log that helps, OUTPUT/failure; what Connection throws; PeerError if the coordinator is gone.
  v1::TrainingJob run(const v1::JobSpec& spec, ProgressDisplay& display);

 private:
  // Where Ctrl-C is heard while a job runs.
  class Listening;

  void interrupt();
  bool interrupted();
  // Beside what the run has left; all jobs' logs if `job_id` is empty.
  std::filesystem::path keep_logs(const std::filesystem::path& output, const std::string& job_id);
  FollowedJob follow(const v1::JobSpec& spec, JobInbox& inbox, ProgressDisplay& display);

  std::mutex mutex_;
  JobInbox* inbox_ = nullptr;  // under mutex_; of the job that runs
  bool interrupted_ = false;   // under mutex_
  Interrupts interrupts_;
  PrivateFolder folder_;
  CoordinatorProcess coordinator_;
};

}  // namespace equipoise
