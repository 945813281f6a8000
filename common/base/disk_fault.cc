#include "common/base/disk_fault.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
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

void throw_open_fault(const std::string& message, int error) {
  if (is_full_disk(error)) throw_write_fault(message, error);
  throw std::invalid_argument(message + ": " + std::generic_category().message(error));
}

int write_rest(int descriptor, std::string_view& rest) {
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor, rest.data(), rest.size());
    if (written < 0 && errno != EINTR) return errno;
    if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

void write_all(int descriptor, std::string& bytes, const std::string& message) {
  std::string_view rest = bytes;
  const int error = write_rest(descriptor, rest);
  bytes.erase(0, bytes.size() - rest.size());
  if (error != 0) throw_write_fault(message, error);
}

}  // namespace equipoise
