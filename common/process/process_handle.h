// A process that may be anybody's child. Numbers of processes are used again: a handle never means another one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "common/base/descriptor.h"

namespace equipoise {

// Of a file /proc/PID/stat, or one of its threads: the fields behind the program's name, from the third on. The name
// may have spaces and parentheses. nullopt: it is gone.
std::optional<std::string> fields_behind_name(const std::filesystem::path& stat);

// When the process started, in the kernel's ticks since the machine did; nullopt: there is none of this number. A
// number and its start are one process, also after the number was used again.
std::optional<std::uint64_t> process_start_time(pid_t pid);

// May be used from several threads.
class ProcessHandle {
 public:
  // nullptr: it has ended.
  static std::unique_ptr<ProcessHandle> find(pid_t pid, std::uint64_t start_time);
  // Of a child that nobody has waited for yet. Throws PeerError where the kernel has no such handles.
  static std::unique_ptr<ProcessHandle> of_child(pid_t pid);

  // To the process alone, not to its group; nothing once it has ended.
  void signal(int signal) const;
  // For poll(): readable once it has ended.
  int descriptor() const { return descriptor_.get(); }

 private:
  explicit ProcessHandle(int descriptor) : descriptor_(descriptor) {}

  Descriptor descriptor_;  // a pidfd
};

}  // namespace equipoise
