#include "common/base/disk_fault.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace equipoise {
namespace {

// Not EACCES, ENOENT and the like: those are of who named the file, or of who removed it.
constexpr std::array kOfDisks{ENOSPC, EDQUOT, EIO, EROFS, ESTALE, ENXIO, ENODEV, EREMOTEIO, ETIMEDOUT, ENOTCONN};

}  // namespace

bool is_full_disk(int error) { return error == ENOSPC || error == EDQUOT; }

bool is_full_disk(const std::exception& failure) {
  if (const auto* fault = dynamic_cast<const DiskFault*>(&failure)) return is_full_disk(fault->error());
  const auto* of_system = dynamic_cast<const std::system_error*>(&failure);
  return of_system != nullptr && is_full_disk(of_system->code().value());
}

void throw_write_fault(const std::string& message, int error) {
  const std::string text = message + ": " + std::generic_category().message(error);
  if (std::ranges::find(kOfDisks, error) != kOfDisks.end()) throw DiskFault(text, error);
  throw std::runtime_error(text);
}

void write_all(int descriptor, std::string& bytes, const std::string& message) {
  std::size_t done = 0;
  int error = 0;
  while (done < bytes.size() && error == 0) {
    const ssize_t written = ::write(descriptor, bytes.data() + done, bytes.size() - done);
    if (written >= 0) {
      done += static_cast<std::size_t>(written);
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  bytes.erase(0, done);
  if (error != 0) throw_write_fault(message, error);
}

}  // namespace equipoise
