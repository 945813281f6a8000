#include "client/connection/private_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "common/base/durable_file.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "equipoise-";
constexpr std::string_view kPattern = "equipoise-XXXXXX";
constexpr const char* kLockName = "in-use";
// What a command needs at most: the coordinator's database with its log and its reserve, mpirun's own files, some logs.
constexpr std::uint64_t kNeededBytes = std::uint64_t{12} << 20;

fs::path temporary_folder() {
  const char* base = std::getenv("TMPDIR");
  return fs::absolute(base == nullptr || *base == '\0' ? "/tmp" : base);
}

[[noreturn]] void refuse(const std::string& what) {
  throw std::invalid_argument("TMPDIR (" + temporary_folder().string() + ") " + what +
                              ": set TMPDIR to another folder");
}

// Nothing where the file system does not say.
std::optional<std::uint64_t> free_bytes(const fs::path& folder) {
  struct statvfs space {};
  if (::statvfs(folder.c_str(), &space) != 0 || space.f_blocks == 0) return std::nullopt;
  if (space.f_files > 0 && space.f_favail == 0) return 0;  // no further files, however small
  return std::uint64_t{space.f_bavail} * space.f_frsize;
}

// Made by mkdtemp for this user, and locked by nobody: the process that made it was killed.
bool is_abandoned(const fs::path& folder) {
  struct stat found {};
  if (::lstat(folder.c_str(), &found) != 0 || !S_ISDIR(found.st_mode) || found.st_uid != ::geteuid()) return false;
  const int lock = ::open((folder / kLockName).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (lock < 0) return false;
  const bool is_free = ::flock(lock, LOCK_EX | LOCK_NB) == 0;
  ::close(lock);
  return is_free;
}

void remove_abandoned_folders(const fs::path& parent) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(parent, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool is_ours = name.size() == kPattern.size() && name.starts_with(kPrefix);
    if (is_ours && is_abandoned(entry.path())) fs::remove_all(entry.path(), ignored);
  }
}

// Quotas are not in what the file system says of itself.
void check_disk_space(const fs::path& folder) {
  const auto room = free_bytes(folder);
  if (room && *room < kNeededBytes) {
    if (*room == 0) refuse("is full");
    refuse("has " + std::to_string(*room >> 10) + " kB free, expected at least " + std::to_string(kNeededBytes >> 10) +
           " kB");
  }
  try {
    write_durably(folder / "room", std::string(kNeededBytes >> 3, '\0'));
  } catch (const std::exception& failure) {
    refuse(std::string("cannot be written: ") + failure.what());
  }
  std::error_code ignored;
  fs::remove(folder / "room", ignored);
}

}  // namespace

PrivateFolder::PrivateFolder() {
  const fs::path parent = temporary_folder();
  remove_abandoned_folders(parent);
  std::string pattern = (parent / kPattern).string();
  if (mkdtemp(pattern.data()) == nullptr) refuse("takes no new folder: " + std::string(std::strerror(errno)));
  path_ = pattern;
  try {
    check_disk_space(path_);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
    throw;
  }
  lock_ = ::open((path_ / kLockName).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (lock_ >= 0) ::flock(lock_, LOCK_EX | LOCK_NB);
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  if (kept_) {
    fs::remove(path_ / kLockName, ignored);
  } else {
    fs::remove_all(path_, ignored);
  }
  if (lock_ >= 0) ::close(lock_);
}

std::string PrivateFolder::disk_space_advice() const {
  const auto room = free_bytes(path_);
  if (!room || *room >= kNeededBytes) return "";
  return "; TMPDIR (" + path_.parent_path().string() + ") has " + std::to_string(*room >> 10) + " kB free";
}

fs::path PrivateFolder::keep_logs(const fs::path& target, const std::vector<fs::path>& files) {
  std::error_code error;
  fs::create_directories(target, error);
  for (const fs::path& file : files) {
    if (error || !fs::exists(file)) continue;
    fs::copy_file(file, target / file.filename(), fs::copy_options::overwrite_existing, error);
  }
  if (!error) return target;
  kept_ = true;
  return path_;
}

}  // namespace equipoise
