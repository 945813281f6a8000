// A program that runs beside the command's own work, and whose end the inbox reports.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "client/connection/job_inbox.h"
#include "common/process/child_process.h"

namespace equipoise {

// In a thread of its own, as the kernel ends a program together with the thread that started it. Tells the inbox when
// it has ended, and ends with it.
class WatchedProgram {
 public:
  // `inbox` outlives it.
  WatchedProgram(ProgramStart start, JobInbox& inbox);
  ~WatchedProgram();  // kills what still runs
  WatchedProgram(const WatchedProgram&) = delete;
  WatchedProgram& operator=(const WatchedProgram&) = delete;

  void signal(int number);
  int exit_code() const { return exit_code_; }  // once the inbox knows of the end

 private:
  void watch(const ProgramStart& start);

  JobInbox& inbox_;
  std::mutex mutex_;
  std::shared_ptr<ChildProcess> process_;  // guarded by mutex_
  std::atomic<int> exit_code_ = 0;
  std::thread thread_;  // last: it uses all of the above
};

// Throws what a program said before it ended with another exit code than 0: std::invalid_argument for the code of bad
// input, else PeerError. `log`: its standard error, where an error reads "PROGRAM: reason"; `whole` is named where
// there is none.
void check_end(int exit_code, const std::filesystem::path& log, const std::string& program, const std::string& whole);

}  // namespace equipoise
