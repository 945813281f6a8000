#include "worker/data/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
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

// Signs are bytes at its end.
off_t signs_in(int descriptor) {
  struct stat found {};
  return ::fstat(descriptor, &found) == 0 ? found.st_size : 0;
}

}  // namespace

std::optional<FileLock> FileLock::acquire(const std::filesystem::path& path, std::chrono::seconds timeout,
                                          const std::function<void()>& on_sign) {
  auto end = std::chrono::steady_clock::now() + timeout;
  off_t seen = 0;
  while (true) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (descriptor < 0) return std::nullopt;
    const bool locked = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0;
    const bool held = !locked && errno == EWOULDBLOCK;
    if (locked && names_open_file(path, descriptor)) return FileLock(path, descriptor);
    const off_t signs = held ? signs_in(descriptor) : 0;
    ::close(descriptor);
    if (signs > seen) {
      end = std::chrono::steady_clock::now() + timeout;
      if (on_sign) on_sign();
    }
    seen = signs;
    if ((!locked && !held) || std::chrono::steady_clock::now() >= end) return std::nullopt;
    if (held) std::this_thread::sleep_for(kPause);
  }
}

FileLock::FileLock(std::filesystem::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

FileLock::FileLock(FileLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

void FileLock::give_sign() {
  const char sign = '.';
  [[maybe_unused]] const ssize_t written = ::pwrite(descriptor_, &sign, 1, signs_in(descriptor_));
}

FileLock::~FileLock() {
  if (descriptor_ < 0) return;
  ::unlink(path_.c_str());
  ::close(descriptor_);
}

}  // namespace equipoise
