#include "common/base/durable_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

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

std::filesystem::path name_aside(const std::filesystem::path& path) {
  std::string name = ".";
  name += path.filename().string() + ".partial-" + std::to_string(std::random_device()());
  return folder_of(path) / name;
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

DurableFile::DurableFile(std::filesystem::path path)
    : path_(destination(path)),
      aside_(name_aside(path_)),
      descriptor_(::open(aside_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
  if (descriptor_ >= 0) return;
  const int error = errno;
  if (is_full_disk(error)) refuse_write(path_, "cannot be written", error);
  throw std::invalid_argument(path_.string() + ": cannot be written: " + std::generic_category().message(error));
}

DurableFile::~DurableFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!aside_.empty()) ::unlink(aside_.c_str());
}

void DurableFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) refuse_write(path_, "cannot be written");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void DurableFile::flush() {
  if (::fsync(descriptor_) != 0) refuse_write(path_, "cannot be brought to disk");
}

void DurableFile::commit() {
  flush();
  if (::close(std::exchange(descriptor_, -1)) != 0) refuse_write(path_, "cannot be closed");
  if (::rename(aside_.c_str(), path_.c_str()) != 0) refuse_write(path_, "cannot be renamed into place");
  aside_.clear();
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
  std::string name = ".";
  name += target_.filename().string() + ".partial-" + std::to_string(std::random_device()());
  aside_ = target_.parent_path() / name;
  std::error_code error;
  if (!fs::create_directory(aside_, error)) {
    if (is_full_disk(error.value())) refuse_write(target, "cannot be written", error.value());
    throw std::invalid_argument("cannot write " + target_.string() + ": " + error.message());
  }
}

DurableFolder::~DurableFolder() {
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
