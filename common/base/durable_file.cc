#include "common/base/durable_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/disk_fault.h"
#include "common/base/path_check.h"

namespace equipoise {
namespace {

[[noreturn]] void refuse_write(const std::filesystem::path& path, const char* what, int error = errno) {
  throw_write_fault(path.string() + ": " + what, error);
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

// Whether the link itself is one of the kernel's to an open file: /proc/self/fd/1, to which /dev/stdout leads.
bool is_open_file(const std::filesystem::path& link) {
  struct statfs system {};
  return ::statfs(folder_of(link).c_str(), &system) == 0 && system.f_type == PROC_SUPER_MAGIC;
}

// Where `path` leads to. Links in a circle, and those to open files, end as the link at which the walk stops.
std::filesystem::path end_of_links(std::filesystem::path path) {
  constexpr int kMostLinks = 40;  // as the kernel follows
  std::error_code error;
  for (int i = 0; i < kMostLinks && std::filesystem::is_symlink(path, error) && !is_open_file(path); ++i) {
    const std::filesystem::path target = std::filesystem::read_symlink(path, error);
    if (error) break;
    path = folder_of(path) / target;  // the target alone where it is absolute
  }
  return path;
}

std::filesystem::path destination(const std::filesystem::path& path) {
  if (const std::string fault = fault_of_destination(path); !fault.empty()) {
    throw std::invalid_argument(path.string() + " " + fault);
  }
  return end_of_links(path);
}

constexpr std::string_view kPartial = ".partial-";
// A process that writes on another machine, whose lock is not seen here, does not pause for so long.
constexpr std::chrono::hours kOfNobody{24};

std::filesystem::path name_aside(const std::filesystem::path& path) {
  std::string name = ".";
  name.append(path.filename().string()).append(kPartial).append(std::to_string(std::random_device()()));
  return folder_of(path) / name;
}

// Of whose writing `entry` is what is left, by its name alone; empty: of nobody's.
std::string_view named_by(std::string_view entry) {
  constexpr std::size_t kMostDigits = 10;
  const std::size_t end = entry.rfind(kPartial);
  if (end == std::string_view::npos || end < 2 || entry.front() != '.') return {};
  const std::string_view digits = entry.substr(end + kPartial.size());
  const bool is_number = !digits.empty() && digits.size() <= kMostDigits &&
                         digits.find_first_not_of("0123456789") == std::string_view::npos;
  return is_number ? entry.substr(1, end - 1) : std::string_view();
}

enum class Lock { kTaken, kOfAnother, kNone };  // kNone: the file system has none

Lock lock_open_file(int descriptor) {
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return Lock::kTaken;
  return errno == EWOULDBLOCK ? Lock::kOfAnother : Lock::kNone;
}

// Whether `path` is still the name of what was opened there. Yes, where the file system cannot tell.
bool is_in_place(int descriptor, const std::filesystem::path& path) {
  struct stat opened {};
  struct stat named {};
  if (::fstat(descriptor, &opened) != 0) return true;
  if (::lstat(path.c_str(), &named) != 0) return errno != ENOENT;
  return named.st_ino == opened.st_ino;
}

// Of `entry`, where nobody has it and it is old enough.
void remove_where_abandoned(const std::filesystem::path& entry, std::chrono::seconds least_age) {
  constexpr int kFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  // A file system over a network locks what is open for writing alone.
  int descriptor = ::open(entry.c_str(), O_RDWR | kFlags);
  if (descriptor < 0 && errno == EISDIR) descriptor = ::open(entry.c_str(), O_RDONLY | O_DIRECTORY | kFlags);
  if (descriptor < 0) return;
  struct stat status {};
  const bool is_known = ::fstat(descriptor, &status) == 0;
  const bool is_file = is_known && S_ISREG(status.st_mode) && status.st_nlink == 1;
  const bool is_folder = is_known && S_ISDIR(status.st_mode);
  const auto age = std::chrono::system_clock::now() - std::chrono::system_clock::from_time_t(status.st_mtime);
  if ((is_file || is_folder) && age >= least_age && lock_open_file(descriptor) == Lock::kTaken) {
    std::error_code ignored;
    std::filesystem::remove_all(entry, ignored);
  }
  ::close(descriptor);
}

void remove_abandoned_of_age(const std::filesystem::path& folder, const auto& is_named,
                             std::chrono::seconds least_age) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const std::string_view of = named_by(name);
    if (!of.empty() && is_named(of)) found.push_back(entry->path());
  }
  for (const std::filesystem::path& entry : found) remove_where_abandoned(entry, least_age);
}

void remove_abandoned_of_age(const std::filesystem::path& target, std::chrono::seconds least_age) {
  remove_abandoned_of_age(
      folder_of(target), [&](std::string_view name) { return name == target.filename().native(); }, least_age);
}

constexpr int kMostTries = 16;

// Opened by `open`, from a path that it chooses, until it is one that nobody has taken for an abandoned one before it
// was locked. -1: with errno.
int open_aside(std::filesystem::path& aside, const std::filesystem::path& target, const auto& open) {
  remove_abandoned_of_age(target, kOfNobody);
  int error = 0;
  for (int i = 0; i < kMostTries; ++i) {
    aside = name_aside(target);
    const int descriptor = open(aside);
    if (descriptor < 0) return descriptor;
    const bool is_of_another = lock_open_file(descriptor) == Lock::kOfAnother;
    const bool is_there = is_in_place(descriptor, aside);
    if (!is_of_another && is_there) return descriptor;
    error = is_of_another ? EWOULDBLOCK : ENOENT;
    if (is_there) std::remove(aside.c_str());
    ::close(descriptor);
  }
  errno = error;
  return -1;
}

// Made and opened. -1: with errno, and there is no folder.
int open_new_folder(const std::filesystem::path& folder) {
  constexpr mode_t kMode = 0777;  // less the umask
  for (int i = 0; i < kMostTries; ++i) {
    if (::mkdir(folder.c_str(), kMode) != 0) return -1;
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) return descriptor;
    if (errno == ENOENT) continue;  // somebody has taken it for an abandoned one
    const int error = errno;
    ::rmdir(folder.c_str());
    errno = error;
    return -1;
  }
  return -1;
}

}  // namespace

std::string fault_of_destination(const std::filesystem::path& path) {
  std::error_code ignored;
  switch (std::filesystem::status(path, ignored).type()) {
    case std::filesystem::file_type::directory:
      return "is a folder, expected a file";
    case std::filesystem::file_type::fifo:
      return "is a FIFO, expected a file";
    case std::filesystem::file_type::socket:
      return "is a socket, expected a file";
    case std::filesystem::file_type::character:
    case std::filesystem::file_type::block:
      return "is a device, expected a file";
    default:
      break;
  }
  const std::filesystem::path end = end_of_links(path);
  if (!std::filesystem::is_symlink(end, ignored)) return "";
  return is_open_file(end)
             ? "is the name of an open file, such as standard output, expected the name of the file itself"
             : "is a link that leads back to itself, expected a file";
}

std::filesystem::path destination_of(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path end = std::filesystem::absolute(end_of_links(path), error);
  std::filesystem::path canonical = std::filesystem::weakly_canonical(end, error);
  if (error) canonical = end.lexically_normal();
  return canonical.has_filename() ? canonical : canonical.parent_path();
}

void remove_abandoned(const std::filesystem::path& folder, const std::function<bool(std::string_view name)>& is_named) {
  remove_abandoned_of_age(folder, is_named, {});
}

void remove_abandoned(const std::filesystem::path& target) { remove_abandoned_of_age(destination_of(target), {}); }

DurableFile::DurableFile(std::filesystem::path path)
    : path_(destination(path)), descriptor_(open_aside(aside_, path_, [](const std::filesystem::path& aside) {
        return ::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      })) {
  if (descriptor_ >= 0) return;
  const int error = errno;
  throw_open_fault(path_.string() + ": cannot be written", error);
}

DurableFile::~DurableFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!aside_.empty()) ::unlink(aside_.c_str());
}

void DurableFile::write(std::span<const std::byte> bytes) {
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const int error = write_rest(descriptor_, rest)) refuse_write(path_, "cannot be written", error);
}

void DurableFile::flush() {
  if (::fsync(descriptor_) != 0) refuse_write(path_, "cannot be brought to disk");
}

void DurableFile::commit() {
  flush();
  if (::rename(aside_.c_str(), path_.c_str()) != 0) refuse_write(path_, "cannot be renamed into place");
  aside_.clear();
  if (::close(std::exchange(descriptor_, -1)) != 0) refuse_write(path_, "cannot be closed");
  sync_folder(folder_of(path_));
}

void write_durably(const std::filesystem::path& path, std::string_view content) {
  DurableFile file(path);
  file.write(content);
  file.commit();
}

void sync_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) refuse_write(folder, "cannot be opened");
  const int outcome = ::fsync(descriptor);
  const int cause = errno;
  ::close(descriptor);
  if (outcome != 0) refuse_write(folder, "cannot be brought to disk", cause);
}

namespace {

namespace fs = std::filesystem;

fs::path without_slash(const fs::path& folder) {
  const fs::path plain = fs::absolute(folder).lexically_normal();
  return plain.has_filename() ? plain : plain.parent_path();
}

[[noreturn]] void refuse_rename(const fs::path& target, int cause) {
  refuse_write(target, "cannot be renamed into place", cause);
}

void put(const fs::path& from, const fs::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) refuse_rename(to, errno);
}

// `from` holds afterwards what stood at `target`.
void exchange(const fs::path& from, const fs::path& target) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) return;
  // Network file systems cannot exchange: then two renames, and the first is taken back if the second fails.
  if (errno != EINVAL && errno != ENOSYS) refuse_rename(target, errno);
  const fs::path old = from.string() + ".old";
  put(target, old);
  try {
    put(from, target);
  } catch (...) {
    put(old, target);
    throw;
  }
  put(old, from);
}

}  // namespace

DurableFolder::DurableFolder(const fs::path& target, Earlier earlier)
    : target_(without_slash(target)), earlier_(earlier) {
  if (earlier == Earlier::kRefused && entry_exists(target_)) {
    throw std::invalid_argument(target.string() + " exists: choose a folder that does not");
  }
  descriptor_ = open_aside(aside_, target_, open_new_folder);
  if (descriptor_ < 0) {
    const int error = errno;
    if (is_full_disk(error)) refuse_write(target, "cannot be written", error);
    throw std::invalid_argument("cannot write " + target_.string() + ": " + std::generic_category().message(error));
  }
}

DurableFolder::~DurableFolder() {
  ::close(descriptor_);
  std::error_code ignored;
  fs::remove_all(aside_, ignored);
}

void DurableFolder::commit(const fs::path& part) {
  const fs::path whole = part.empty() ? aside_ : aside_ / part;
  sync_folder(whole);
  if (earlier_ == Earlier::kReplaced && entry_exists(target_)) {
    exchange(whole, target_);
  } else {
    put(whole, target_);
  }
  sync_folder(target_.parent_path());
}

}  // namespace equipoise
