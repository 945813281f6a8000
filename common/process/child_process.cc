#include "common/process/child_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <system_error>

#include "common/base/descriptor.h"
#include "common/base/error.h"

namespace equipoise {
namespace {

std::string cause(int error) { return std::generic_category().message(error); }

int open_log(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0) throw PeerError(file.string() + " cannot be written: " + cause(errno));
  return descriptor;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// Ours without `removed`, and `added` in place of what we have under the same names.
std::vector<std::string> whole_environment(const std::vector<std::string>& added,
                                           const std::vector<std::string>& removed) {
  std::vector<std::string> all = added;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view ours(*entry);
    const std::string_view name = ours.substr(0, ours.find('=') + 1);
    const bool is_replaced = std::ranges::any_of(added, [&](const auto& other) { return other.starts_with(name); });
    const bool is_removed = std::ranges::find(removed, name.substr(0, name.size() - 1)) != removed.end();
    if (!is_replaced && !is_removed) all.emplace_back(ours);
  }
  return all;
}

struct ChildView {
  const char* program;
  char* const* arguments;
  char* const* environment;
  int in, out, err, report;
  pid_t parent;
  int signal_at_our_end;
};

// Between fork and exec of a process with threads: only async-signal-safe calls.
[[noreturn]] void become(const ChildView& view) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, view.signal_at_our_end);
  if (::getppid() != view.parent) ::_exit(127);  // the parent was gone before the line above
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // What we ignore, or a shell made us ignore, would stay ignored.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_DFL);
  ::dup2(view.in, STDIN_FILENO);
  ::dup2(view.out, STDOUT_FILENO);
  ::dup2(view.err, STDERR_FILENO);
  ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  ::execvpe(view.program, view.arguments, view.environment);
  const int error = errno;
  const ssize_t ignored = ::write(view.report, &error, sizeof(error));
  static_cast<void>(ignored);
  ::_exit(127);
}

}  // namespace

ChildProcess::ChildProcess(const ProgramStart& start) {
  std::vector<std::string> command = start.command, environment = whole_environment(start.environment, start.removed);
  const std::vector<char*> arguments = pointers(command), variables = pointers(environment);
  Descriptor in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  Descriptor out(open_log(start.stdout_file)), err(open_log(start.stderr_file));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw PeerError(command[0] + " cannot be started: " + cause(errno));
  // exec closes the writing end; an error arrives through it.
  Descriptor read_end(ends[0]), write_end(ends[1]);
  const ChildView view{.program = command[0].c_str(),
                       .arguments = arguments.data(),
                       .environment = variables.data(),
                       .in = in.get(),
                       .out = out.get(),
                       .err = err.get(),
                       .report = write_end.get(),
                       .parent = ::getpid(),
                       .signal_at_our_end = start.signal_at_our_end};
  pid_ = ::fork();
  if (pid_ < 0) throw PeerError(command[0] + " cannot be started: " + cause(errno));
  if (pid_ == 0) become(view);
  write_end.close_now();
  int error = 0;
  ssize_t length = 0;
  do {
    length = ::read(read_end.get(), &error, sizeof(error));
  } while (length < 0 && errno == EINTR);
  if (length == 0) return;
  wait();
  throw PeerError(command[0] + " cannot be started: " + cause(error));
}

ChildProcess::~ChildProcess() {
  signal_group(SIGKILL);
  if (pid_ > 0) wait();
}

std::optional<int> ChildProcess::poll() {
  if (exit_code_) return exit_code_;
  siginfo_t info{};
  const int options = WEXITED | WNOWAIT | WNOHANG;
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, options) != 0 || info.si_pid == 0) return std::nullopt;
  return wait();
}

int ChildProcess::wait() {
  if (exit_code_) return *exit_code_;
  siginfo_t info{};
  // The dead process keeps its number until it is reaped, so that nobody else's group can be signalled.
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  const std::lock_guard lock(mutex_);
  ::kill(-pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  constexpr int kSignalBase = 128;  // the shell's convention
  exit_code_ = info.si_code == CLD_EXITED ? info.si_status : kSignalBase + info.si_status;
  return *exit_code_;
}

void ChildProcess::signal(int signal) {
  const std::lock_guard lock(mutex_);
  if (pid_ > 0) ::kill(pid_, signal);
}

void ChildProcess::signal_group(int signal) {
  const std::lock_guard lock(mutex_);
  if (pid_ > 0) ::kill(-pid_, signal);
}

void ChildProcess::leave() {
  const std::lock_guard lock(mutex_);
  pid_ = -1;
}

}  // namespace equipoise
