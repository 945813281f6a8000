// A program in a session and process group of its own, which does not outlive us. Every program that the client or the
// coordinator starts is started here.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace equipoise {

struct ProgramStart {
  std::vector<std::string> command;       // [0] is found in PATH if it has no slash
  std::vector<std::string> environment;   // NAME=value, added to ours
  std::vector<std::string> removed = {};  // NAME of ours that it does not get
  std::filesystem::path stdout_file;
  std::filesystem::path stderr_file;  // may be stdout_file
  // What the kernel sends the program when the thread that made it ends. 0: nothing, for a program that sees to that
  // itself, as `equipoise-coordinator --exit-with-parent` does.
  int signal_at_our_end = SIGKILL;
};

// Made, waited for and destroyed by one thread. Signals may be sent from any thread.
class ChildProcess {
 public:
  // Throws PeerError naming the program, or the log file, and the cause.
  explicit ChildProcess(const ProgramStart& start);
  ~ChildProcess();  // kills what still runs
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Blocks until it has ended, then kills what is left of its group. 128 + n after signal n.
  int wait();
  // The same without blocking: nothing while it runs.
  std::optional<int> poll();
  // To it alone, and to its whole group; nothing once it has ended.
  void signal(int signal);
  void signal_group(int signal);

  pid_t pid() const { return pid_; }  // of one that has not been waited for; its group has the same number
  // It goes on without us: the destructor leaves it alone. Nothing else may be called after this.
  void leave();

 private:
  std::optional<int> exit_code_;
  std::mutex mutex_;
  pid_t pid_ = -1;  // guarded by mutex_; -1: ended, the number may belong to another process by now
};

}  // namespace equipoise
