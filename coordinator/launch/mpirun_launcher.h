// Runs and watches mpirun, one thread and one equipoise-shim for each attempt. The shim is mpirun's parent; with
// Chain::kNone it goes on without this launcher, and the next one finds it.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/descriptor.h"
#include "common/process/attempt_file.h"
#include "common/process/child_process.h"
#include "common/process/process_handle.h"
#include "coordinator/launch/launcher.h"
#include "coordinator/launch/mpirun_command.h"

namespace equipoise::coordinator {

// May be used from several threads, but not from OnExit's.
class MpirunLauncher final : public Launcher {
 public:
  MpirunLauncher(LaunchSettings settings, OnExit on_exit);
  // With Chain::kToCoordinator: kills what still runs and waits for it. Else it leaves it alone.
  ~MpirunLauncher() override;

  // Where ranks find the coordinator; before the first start().
  void set_coordinator_address(std::string address) { settings_.coordinator_address = std::move(address); }

  void start(const LaunchRequest& request) override;
  void terminate(const AttemptKey& attempt) override;
  // mpirun and its group; what does not end by that is killed the second time, with the shim.
  void kill(const AttemptKey& attempt) override;
  std::vector<AttemptKey> find() override;
  void forget(const AttemptKey& attempt) override;

  // OnExit may be called for what find() has found.
  void watch_found();
  // OnExit is called no more. What runs goes on.
  void stop_watching();

 private:
  struct Attempt {
    std::optional<AttemptFile> file;      // absent: is being started
    std::unique_ptr<ProcessHandle> shim;  // null: had ended when it was found, or is being started
    bool was_asked_to_end = false, was_killed = false;
    bool was_found = false;
    std::atomic<bool> has_ended = false;  // and OnExit has returned
    std::thread thread;
  };
  std::filesystem::path file_of(const AttemptKey& key) const;
  ProgramStart shim_start(const AttemptKey& key, const ProgramStart& program) const;
  void run(const LaunchRequest& request, Attempt& attempt);
  void adopt(Attempt& attempt, std::unique_ptr<ProcessHandle> shim);
  bool await_end(const Attempt& attempt) const;
  void report(const AttemptKey& key, Attempt& attempt) const;
  void add_found(const std::filesystem::path& path, std::vector<AttemptKey>& found);
  void end_all();
  void remove_ended();

  LaunchSettings settings_;
  const OnExit on_exit_;
  Descriptor stop_;   // an eventfd
  std::mutex mutex_;  // guards attempts_, and of each its shim and what was asked of it
  std::map<AttemptKey, std::unique_ptr<Attempt>> attempts_;
};

}  // namespace equipoise::coordinator
