#include "common/process/attempt_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <string_view>
#include <system_error>

#include "common/base/error.h"
#include "common/base/message_text.h"

namespace equipoise {
namespace {

constexpr off_t kShimPlace = 0, kStartPlace = 512, kExitPlace = 3584;
constexpr std::size_t kFileBytes = 4096;
constexpr std::size_t kLongestRefusal = 2048;

[[noreturn]] void refuse(const std::filesystem::path& path, const char* what) {
  throw PeerError(path.string() + " cannot be " + what + ": " + std::generic_category().message(errno));
}

// The line that begins at `place`; empty where it has no end yet.
std::string line_at(std::string_view content, off_t place) {
  const auto begin = static_cast<std::size_t>(place);
  if (begin >= content.size()) return "";
  const std::size_t end = content.find('\n', begin);
  return end == std::string_view::npos ? "" : std::string(content.substr(begin, end - begin));
}

}  // namespace

AttemptFile AttemptFile::make(const std::filesystem::path& path) {
  if (::access(path.c_str(), F_OK) == 0 && open(path).is_locked()) {
    throw PeerError(path.string() + " is locked by the processes of an attempt that still runs");
  }
  ::unlink(path.c_str());
  AttemptFile file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.descriptor_ < 0) refuse(path, "made");
  const std::string spaces(kFileBytes, ' ');
  if (::pwrite(file.descriptor_, spaces.data(), spaces.size(), 0) == static_cast<ssize_t>(spaces.size())) return file;
  const int error = errno;
  ::unlink(path.c_str());
  errno = error;
  refuse(path, "written");
}

AttemptFile AttemptFile::open(const std::filesystem::path& path) {
  AttemptFile file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (file.descriptor_ < 0) refuse(path, "opened");
  return file;
}

AttemptFile::~AttemptFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool AttemptFile::is_locked() const {
  if (::flock(descriptor_, LOCK_SH | LOCK_NB) != 0) return true;
  ::flock(descriptor_, LOCK_UN);
  return false;
}

bool AttemptFile::lock(const std::filesystem::path& path) {
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) return false;
  struct stat ours {
  }, there{};
  return ::fstat(descriptor_, &ours) == 0 && ::stat(path.c_str(), &there) == 0 && ours.st_dev == there.st_dev &&
         ours.st_ino == there.st_ino;
}

ShimState AttemptFile::read() const {
  std::string content(kFileBytes, ' ');
  const ssize_t length = ::pread(descriptor_, content.data(), content.size(), 0);
  content.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  ShimState state;
  std::string word;
  std::istringstream shim(line_at(content, kShimPlace)), exit(line_at(content, kExitPlace));
  const std::string start = line_at(content, kStartPlace);
  if (!(shim >> word >> state.pid >> state.start_time) || word != "shim") state.pid = 0;
  constexpr std::string_view kRefused = "refused ";
  state.has_started = start == "started";
  if (start.starts_with(kRefused)) state.refusal = start.substr(kRefused.size());
  if (int code = 0; exit >> word >> code && word == "exit") state.exit_code = code;
  return state;
}

void AttemptFile::write(off_t place, const std::string& line) {
  // Over bytes that the file has: no disk is too full for that.
  const ssize_t ignored = ::pwrite(descriptor_, line.data(), line.size(), place);
  static_cast<void>(ignored);
}

void AttemptFile::write_shim(pid_t pid, std::uint64_t start_time) {
  write(kShimPlace, "shim " + std::to_string(pid) + " " + std::to_string(start_time) + "\n");
}

void AttemptFile::write_started() { write(kStartPlace, "started\n"); }

void AttemptFile::write_refusal(const std::string& why) {
  write(kStartPlace, "refused " + one_line(why, kLongestRefusal) + "\n");
}

void AttemptFile::write_exit(int exit_code) {
  write(kExitPlace, "exit " + std::to_string(exit_code) + "\n");
  ::fdatasync(descriptor_);
}

}  // namespace equipoise
