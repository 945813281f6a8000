#include "common/base/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "common/base/descriptor.h"
#include "common/base/disk_fault.h"

namespace equipoise {
namespace {

constexpr mode_t kOthers = S_IRWXO;
constexpr mode_t kGroupMayNot = S_IWGRP | S_IXGRP;

[[noreturn]] void refuse_secret(const std::filesystem::path& file, const std::string& why) {
  throw std::invalid_argument(file.string() + ": " + why);
}

std::string mode_text(mode_t mode) {
  std::string text = "0";
  for (const int shift : {6, 3, 0}) text += static_cast<char>('0' + ((mode >> shift) & 7));
  return text;
}

void check_keeper(const std::filesystem::path& file, const struct stat& found, const char* what, FileReaders readers) {
  if (!S_ISREG(found.st_mode)) refuse_secret(file, "is not a file");
  if (found.st_uid != ::geteuid() && found.st_uid != 0) {
    refuse_secret(file, std::string("is another user's, expected ") + what + " of this user");
  }
  // A file of root that another user can read at all is for that user's group, as Kubernetes mounts secrets.
  const bool group_may_read = readers == FileReaders::kGroup || found.st_uid != ::geteuid();
  const mode_t forbidden = group_may_read ? mode_t{kOthers | kGroupMayNot} : mode_t{kOthers | S_IRWXG};
  if ((found.st_mode & forbidden) == 0) return;
  const char* const wanted = group_may_read ? "0640" : "0600";
  refuse_secret(file, "has mode " + mode_text(found.st_mode) + ", so that others have access to " + what +
                          "; expected at most " + wanted + " (chmod " + wanted + " " + file.string() + ")");
}

}  // namespace

std::string read_secret_file(const std::filesystem::path& file, std::uintmax_t most_bytes, const char* what,
                             FileReaders readers) {
  // What was opened is what is looked at; a pipe does not keep this waiting.
  const Descriptor opened(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat found {};
  if (opened.get() < 0 || ::fstat(opened.get(), &found) != 0) {
    refuse_secret(file, std::string("cannot be read: ") + std::strerror(errno));
  }
  check_keeper(file, found, what, readers);
  std::string content;
  std::array<char, 4096> part{};
  while (true) {
    const ssize_t count = ::read(opened.get(), part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) refuse_secret(file, std::string("cannot be read: ") + std::strerror(errno));
    if (count == 0) return content;
    content.append(part.data(), static_cast<std::size_t>(count));
    if (content.size() > most_bytes) {
      refuse_secret(file, "has more than " + std::to_string(most_bytes) + " bytes, expected " + what);
    }
  }
}

void write_secret_file(const std::filesystem::path& file, const std::string& content) {
  const Descriptor made(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (made.get() < 0) refuse_secret(file, std::string("cannot be made: ") + std::strerror(errno));
  std::string_view rest = content;
  if (const int error = write_rest(made.get(), rest)) {
    refuse_secret(file, std::string("cannot be written: ") + std::strerror(error));
  }
}

}  // namespace equipoise
