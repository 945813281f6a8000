#include "worker/data/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>

namespace equipoise {
namespace {

constexpr auto kPause = std::chrono::milliseconds(20);

// Whether `path` still names the open file: whoever held the lock before may have removed it.
bool names_open_file(const std::filesystem::path& path, int descriptor) {
  struct stat open_file {
  }, named_file{};
  return ::fstat(descriptor, &open_file) == 0 && ::stat(path.c_str(), &named_file) == 0 &&
         open_file.st_ino == named_file.st_ino && open_file.st_dev == named_file.st_dev;
}

}  // namespace

std::optional<FileLock> FileLock::acquire(const std::filesystem::path& path, std::chrono::seconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (descriptor < 0) return std::nullopt;
    const bool locked = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0;
    const bool held = !locked && errno == EWOULDBLOCK;
    if (locked && names_open_file(path, descriptor)) return FileLock(path, descriptor);
    ::close(descriptor);
    if ((!locked && !held) || std::chrono::steady_clock::now() >= end) return std::nullopt;
    if (held) std::this_thread::sleep_for(kPause);
  }
}

FileLock::FileLock(std::filesystem::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

FileLock::FileLock(FileLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock::~FileLock() {
  if (descriptor_ < 0) return;
  ::unlink(path_.c_str());
  ::close(descriptor_);
}

}  // namespace equipoise
