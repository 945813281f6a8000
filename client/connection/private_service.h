// A coordinator of our own, and jobs that are run on it to their end, one after the other.
#pragma once

#include <filesystem>
#include <functional>
#include <istream>
#include <mutex>
#include <string>

#include "client/connection/follow_job.h"
#include "client/connection/interrupts.h"
#include "client/connection/job_inbox.h"
#include "client/connection/private_folder.h"
#include "client/progress/progress_display.h"
#include "common/process/child_process.h"

namespace equipoise {

// A coordinator of our own on a loopback port, for as long as this object lives. It answers us alone: other users of
// this machine, who reach the port too, lack the token, which is in this process and nowhere else; there are no
// metrics.
struct CoordinatorOptions {
  std::filesystem::path program;
  std::filesystem::path folder;            // exists; receives the state and the log
  std::string log_level;                   // empty: the program's own
  std::vector<std::string> settings = {};  // NAME=value, for its environment
};

class CoordinatorProcess {
 public:
  // Returns when it serves. It is in a process group of its own, so that Ctrl-C on the terminal does not reach it, and
  // it ends with this process. Call from the main thread. Throws PeerError if the program cannot be started, ends, or
  // does not serve within 30 s, CommandError (interrupted) when `stop` says so.
  CoordinatorProcess(const CoordinatorOptions& options, const std::function<bool()>& stop);
  ~CoordinatorProcess();  // stop()
  CoordinatorProcess(const CoordinatorProcess&) = delete;
  CoordinatorProcess& operator=(const CoordinatorProcess&) = delete;

  const std::string& address() const { return address_; }  // "127.0.0.1:PORT"
  const ServiceAccess& access() const { return access_; }  // with which it is called
  const std::filesystem::path& log() const { return log_; }

  // Asks it to end and waits; after 15 s it is killed.
  void stop() noexcept;
  // Why it is no longer there: "killed by signal 9". Empty while it runs.
  std::string end();

 private:
  void wait_until_serving(const std::filesystem::path& announcement, const std::function<bool()>& stop);
  void read_announcement(std::istream& file);

  std::string address_;
  const ServiceAccess access_;
  std::filesystem::path log_;
  ChildProcess process_;
};

// The folder of this executable.
std::filesystem::path program_folder();

// The last line of a text file that is not blank; empty if there is none.
std::string last_line(const std::filesystem::path& file);

// While it lives, Ctrl-C reaches the job that runs, or the next one: it is cancelled. SIGTERM lets it leave with a
// checkpoint. Not thread-safe. Make it before
// anything that starts threads.
class PrivateService {
 public:
  // Starts the coordinator's program beside this one. `log_level`: of its log; empty: its own. Throws as
  // CoordinatorProcess does.
  explicit PrivateService(const std::string& log_level);

  // The job, succeeded. `spec` is for the coordinator to launch. Throws CommandError if it did not succeed, with the
  // place of a log that helps, OUTPUT/failure; what Connection throws; PeerError if the coordinator is gone.
  v1::TrainingJob run(const v1::JobSpec& spec, ProgressDisplay& display);
  v1::TrainingJob run(const v1::CreateTrainingJobRequest& request, ProgressDisplay& display);
  // The same until `is_reached`: then its ranks leave with a checkpoint, and it is cancelled, unless it has succeeded
  // meanwhile.
  void run_until(const v1::CreateTrainingJobRequest& request, ProgressDisplay& display, const JobCondition& is_reached);

 private:
  // Where Ctrl-C is heard while a job runs.
  class Listening;

  void interrupt(int signal);
  bool interrupted();
  // Beside what the run has left; all jobs' logs if `job_id` is empty.
  std::filesystem::path keep_logs(const std::filesystem::path& output, const std::string& job_id);
  FollowedJob follow(const v1::CreateTrainingJobRequest& request, JobInbox& inbox, ProgressDisplay& display,
                     const JobCondition& is_reached = {});
  std::string failure_advice(const v1::JobSpec& spec, const v1::TrainingJob& job);

  std::mutex mutex_;
  JobInbox* inbox_ = nullptr;  // under mutex_; of the job that runs
  int signal_ = 0;             // under mutex_; the newest that has come
  Interrupts interrupts_;
  PrivateFolder folder_;
  CoordinatorProcess coordinator_;
};

}  // namespace equipoise
