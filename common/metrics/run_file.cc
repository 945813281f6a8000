#include "common/metrics/run_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <system_error>

namespace equipoise {

int open_run_file(const std::filesystem::path& file, const MayRead& may_read) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return descriptor;
  struct stat found {};
  std::error_code error;
  const bool is_plain = ::fstat(descriptor, &found) == 0 && S_ISREG(found.st_mode);
  const auto resolved = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor), error);
  if (is_plain && !error && may_read(resolved)) return descriptor;
  ::close(descriptor);
  return -1;
}

}  // namespace equipoise
