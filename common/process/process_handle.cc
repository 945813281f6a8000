#include "common/process/process_handle.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>

#include "common/base/error.h"

namespace equipoise {
namespace {

// glibc has functions for these from 2.36 on.
int open_handle(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

}  // namespace

std::optional<std::string> fields_behind_name(const std::filesystem::path& stat) {
  std::ifstream file(stat);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  return text.substr(name_end + 1);
}

std::optional<std::uint64_t> process_start_time(pid_t pid) {
  const auto text = fields_behind_name("/proc/" + std::to_string(pid) + "/stat");
  if (!text) return std::nullopt;
  std::istringstream fields(*text);
  constexpr int kBefore = 19;  // the start is the 22nd
  std::string skipped;
  for (int field = 0; field < kBefore; ++field) fields >> skipped;
  std::uint64_t start_time = 0;
  if (!(fields >> start_time)) return std::nullopt;
  return start_time;
}

std::unique_ptr<ProcessHandle> ProcessHandle::find(pid_t pid, std::uint64_t start_time) {
  if (pid <= 0) return nullptr;
  std::unique_ptr<ProcessHandle> handle(new ProcessHandle(open_handle(pid)));
  // In this order: what has the number now is what the handle means.
  const bool is_it = handle->descriptor() >= 0 && process_start_time(pid) == start_time;
  return is_it ? std::move(handle) : nullptr;
}

std::unique_ptr<ProcessHandle> ProcessHandle::of_child(pid_t pid) {
  std::unique_ptr<ProcessHandle> handle(new ProcessHandle(open_handle(pid)));
  if (handle->descriptor() >= 0) return handle;
  throw PeerError("process " + std::to_string(pid) + " cannot be watched: " + std::generic_category().message(errno) +
                  "; expected Linux 5.9 or newer");
}

void ProcessHandle::signal(int signal) const {
  ::syscall(SYS_pidfd_send_signal, descriptor_.get(), signal, nullptr, 0);
}

}  // namespace equipoise
