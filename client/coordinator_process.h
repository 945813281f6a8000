// A coordinator of our own on a loopback port, for as long as this object lives.
#pragma once

#include <filesystem>
#include <functional>
#include <istream>
#include <string>

#include "common/process/child_process.h"

namespace equipoise {

struct CoordinatorOptions {
  std::filesystem::path program;
  std::filesystem::path folder;  // exists; receives the state and the log
  std::string log_level;         // empty: the program's own
  std::string setting = {};      // NAME=value for its environment; empty: none
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
  const std::filesystem::path& log() const { return log_; }

  // Asks it to end and waits; after 15 s it is killed.
  void stop() noexcept;
  // Why it is no longer there: "killed by signal 9". Empty while it runs.
  std::string end();

 private:
  void wait_until_serving(const std::filesystem::path& announcement, const std::function<bool()>& stop);
  void read_announcement(std::istream& file);

  std::string address_;
  std::filesystem::path log_;
  ChildProcess process_;
};

// The folder of this executable.
std::filesystem::path program_folder();

// The last line of a text file that is not blank; empty if there is none.
std::string last_line(const std::filesystem::path& file);

}  // namespace equipoise
