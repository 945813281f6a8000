// Runs and watches mpirun, one thread for each attempt.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "common/process/child_process.h"
#include "coordinator/launch/launcher.h"
#include "coordinator/launch/mpirun_command.h"

namespace equipoise::coordinator {

// May be used from several threads, but not from OnExit's.
class MpirunLauncher final : public Launcher {
 public:
  MpirunLauncher(LaunchSettings settings, OnExit on_exit);
  // Kills what still runs and waits for it.
  ~MpirunLauncher() override;

  // Where ranks find the coordinator; before the first start().
  void set_coordinator_address(std::string address) { settings_.coordinator_address = std::move(address); }

  void start(const LaunchRequest& request) override;
  void terminate(const AttemptKey& attempt) override;
  void kill(const AttemptKey& attempt) override;

 private:
  struct Attempt {
    std::shared_ptr<ChildProcess> process;     // shared: a signal may be under way while the thread ends
    std::shared_ptr<std::atomic<bool>> ended;  // set by the thread as its last act
    std::thread thread;
  };
  void signal(const AttemptKey& attempt, int signal);
  void remove_ended();

  LaunchSettings settings_;
  const OnExit on_exit_;
  std::mutex mutex_;  // guards attempts_
  std::map<AttemptKey, Attempt> attempts_;
};

}  // namespace equipoise::coordinator
