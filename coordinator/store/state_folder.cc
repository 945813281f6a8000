#include "coordinator/store/state_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace equipoise::coordinator {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& why) {
  throw std::invalid_argument("state folder " + path.string() + ": " + why);
}

std::string first_line(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t length = ::pread(descriptor, text.data(), text.size(), 0);
  const std::string all(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  return all.substr(0, all.find('\n'));
}

}  // namespace

StateFolder::StateFolder(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) refuse(path_, "cannot be made: " + error.message());
  lock_ = ::open((path_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) refuse(path_, "cannot be written: " + std::generic_category().message(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const std::string holder = first_line(lock_);
    ::close(lock_);
    refuse(path_, "in use by the equipoise-coordinator with pid " + (holder.empty() ? "unknown" : holder));
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  const bool is_written = ::ftruncate(lock_, 0) == 0 && ::pwrite(lock_, pid.data(), pid.size(), 0) > 0;
  if (!is_written) {
    const std::string why = std::generic_category().message(errno);
    ::close(lock_);
    refuse(path_, "cannot be written: " + why);
  }
}

StateFolder::~StateFolder() { ::close(lock_); }

}  // namespace equipoise::coordinator
