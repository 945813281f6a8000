#include "client/command_line/file_patience.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>

#include "common/base/descriptor.h"
#include "common/base/error.h"

namespace equipoise {
namespace {

void ask_kernel(const char* path) {
  struct stat found {};
  static_cast<void>(::stat(path, &found));
}

// In the child: keeps none of our pipes open, in which somebody may wait for the end of what this program says.
[[noreturn]] void ask_alone(int answer, const char* path, void (*ask)(const char*)) {
  if (answer > 0) ::close_range(0, static_cast<unsigned>(answer) - 1, 0);
  ::close_range(static_cast<unsigned>(answer) + 1, ~0U, 0);
  ask(path);
  ::_exit(0);
}

// Its other end is closed when the child has ended.
bool has_ended_within(int end_of_pipe, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd watched{.fd = end_of_pipe, .events = POLLIN, .revents = 0};
    const int found = ::poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (found > 0) return true;
    if (found == 0 || errno != EINTR) return false;
  }
}

}  // namespace

void await_file_system(const std::filesystem::path& path, std::chrono::milliseconds patience,
                       void (*ask)(const char*)) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw PeerError("no pipe: " + std::generic_category().message(errno));
  const Descriptor read_end(ends[0]);
  Descriptor write_end(ends[1]);
  const std::string text = path.empty() ? "." : path.string();
  const pid_t child = ::fork();
  if (child < 0) throw PeerError("no process: " + std::generic_category().message(errno));
  if (child == 0) ask_alone(write_end.get(), text.c_str(), ask != nullptr ? ask : ask_kernel);
  write_end.close_now();
  if (!has_ended_within(read_end.get(), patience)) {
    ::kill(child, SIGKILL);
    throw PeerError("the file system of " + path.string() + " does not answer");
  }
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace equipoise
