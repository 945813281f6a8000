#include "common/base/output_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <optional>
#include <ranges>
#include <sstream>
#include <system_error>
#include <utility>

#include "common/base/durable_file.h"
#include "common/base/network_interfaces.h"
#include "common/base/path_check.h"
#include "common/base/utc_time.h"

namespace equipoise {
namespace {

constexpr std::size_t kLongestRecord = 4096;
constexpr const char* kRunsInside = "runs inside";

std::string next_line(std::istream& text) {
  std::string line;
  std::getline(text, line);
  std::ranges::replace_if(
      line, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return line;
}

}  // namespace

OutputRecord own_record(const OutputOwner& owner) {
  return {.owner = owner, .pid = std::to_string(::getpid()), .host = host_name(), .since = utc_time_text()};
}

void write_record(int descriptor, const OutputOwner& owner) {
  const OutputRecord record = own_record(owner);
  std::string text;
  for (const std::string& line : {owner.program, owner.job, record.pid, record.host, record.since}) text += line + "\n";
  if (owner.admits_runs_inside) text += std::string(kRunsInside) + "\n";
  const bool is_empty = ::ftruncate(descriptor, 0) == 0;
  const ssize_t ignored = is_empty ? ::pwrite(descriptor, text.data(), text.size(), 0) : 0;
  static_cast<void>(ignored);
}

OutputRecord read_record(int descriptor) {
  std::array<char, kLongestRecord> bytes{};
  const ssize_t length = ::pread(descriptor, bytes.data(), bytes.size(), 0);
  std::istringstream text(std::string(bytes.data(), length > 0 ? static_cast<std::size_t>(length) : 0));
  OutputRecord record;
  for (std::string* field : {&record.owner.program, &record.owner.job, &record.pid, &record.host, &record.since}) {
    *field = next_line(text);
  }
  record.owner.admits_runs_inside = next_line(text) == kRunsInside;
  return record;
}

std::string owner_text(const OutputRecord& record) {
  std::string text = record.owner.job.empty() ? "" : "job " + record.owner.job + " of ";
  text += record.owner.program.empty() ? "another process" : record.owner.program;
  if (record.pid.empty()) return text;
  return text + " (pid " + record.pid + " on " + record.host + " since " + record.since + ")";
}

namespace {

namespace fs = std::filesystem;

struct ByteRange {
  off_t first, count;
};
constexpr ByteRange kReservationByte{0, 1}, kWriterByte{1, 1}, kBothBytes{0, 2};

struct flock write_lock(ByteRange range) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = range.first;
  lock.l_len = range.count;
  return lock;
}

bool is_held_by_others(int descriptor, ByteRange range) {
  struct flock lock = write_lock(range);
  return ::fcntl(descriptor, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

// Any other failure than a lock of somebody else is a file system without locks.
bool lock_range(int descriptor, ByteRange range) {
  struct flock lock = write_lock(range);
  return ::fcntl(descriptor, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

void unlock_all(int descriptor) {
  struct flock lock = write_lock(kBothBytes);
  lock.l_type = F_UNLCK;
  ::fcntl(descriptor, F_OFD_SETLK, &lock);
}

bool is_path_of_lock(const fs::path& path, int descriptor) {
  struct stat open_file {
  }, named_file{};
  return ::fstat(descriptor, &open_file) == 0 && ::lstat(path.c_str(), &named_file) == 0 &&
         open_file.st_ino == named_file.st_ino && open_file.st_dev == named_file.st_dev;
}

[[noreturn]] void refuse(const OutputPlace& place, const std::string& what) {
  throw std::invalid_argument(place.field + ": " + place.path.string() + " " + what);
}

[[noreturn]] void refuse_in_use(const OutputPlace& place, const std::string& where, const OutputRecord& record) {
  throw OutputInUse(place.field + ": " + place.path.string() + " is " + where + "in use by " + owner_text(record) +
                        "; wait until that has ended, or choose another output",
                    record.owner.job);
}

fs::path file_beside(const fs::path& path) {
  std::string name(".");
  name.append(path.filename().string()).append(kOutputLockName);
  return path.parent_path() / name;
}

std::optional<OutputRecord> owner_of(const fs::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return std::nullopt;
  std::optional<OutputRecord> record;
  if (is_held_by_others(descriptor, kBothBytes)) record = read_record(descriptor);
  ::close(descriptor);
  return record;
}

// All that another owner of `path` may have locked but the folder itself. `path` is resolved.
void check_surroundings(const OutputPlace& place, const fs::path& path) {
  if (const auto owner = owner_of(file_beside(path))) refuse_in_use(place, "", *owner);
  const fs::path final = path / "final";
  if (const auto owner = owner_of(final / kOutputLockName))
    refuse_in_use(place, "around " + final.string() + ", ", *owner);
  for (fs::path outer = path; outer.has_relative_path();) {
    outer = outer.parent_path();
    auto owner = owner_of(outer / kOutputLockName);
    if (owner && owner->owner.admits_runs_inside) owner.reset();
    if (!owner && outer.has_relative_path()) owner = owner_of(file_beside(outer));
    if (owner) refuse_in_use(place, "inside of " + outer.string() + ", ", *owner);
  }
}

// Returns the new ones, outermost first.
std::vector<fs::path> make_folders(const OutputPlace& place, const fs::path& folder) {
  std::vector<fs::path> missing;
  std::error_code error;
  for (fs::path part = folder; !fs::exists(part, error) && part.has_relative_path(); part = part.parent_path()) {
    missing.insert(missing.begin(), part);
  }
  fs::create_directories(folder, error);
  if (error) refuse(place, "cannot be made a folder: " + error.message());
  if (!fs::is_directory(folder, error)) refuse(place, "is not a folder");
  return missing;
}

}  // namespace

OutputLock OutputLock::open(const OutputPlace& place, const fs::path& file) {
  // Others may have other rights to the folder: the umask decides, as for all files in it.
  constexpr mode_t kMode = 0666;
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, kMode);
  if (descriptor < 0) {
    refuse(place, "cannot be written: " + file.string() + ": " + std::generic_category().message(errno));
  }
  return {file, descriptor};
}

bool OutputLock::lock(Bytes bytes) {
  const bool is_locked = bytes == Bytes::kWriter ? lock_range(descriptor_, kWriterByte)
                         : bytes == Bytes::kBoth ? lock_range(descriptor_, kBothBytes)
                                                 : lock_range(descriptor_, kReservationByte) &&
                                                       !is_held_by_others(descriptor_, kWriterByte);
  if (is_locked) {
    locked_ = bytes;
  } else {
    unlock_all(descriptor_);
  }
  return is_locked;
}

OutputLock OutputLock::take(const OutputPlace& place, const fs::path& file, const OutputOwner& owner, Bytes bytes) {
  while (true) {
    OutputLock lock = open(place, file);
    if (lock.lock(bytes)) {
      // An earlier owner may have removed the file between the two calls.
      if (!lock.is_in_place()) continue;
      if (bytes != Bytes::kWriter) write_record(lock.descriptor_, owner);
      return lock;
    }
    refuse_in_use(place, "", read_record(lock.descriptor_));
  }
}

OutputLock OutputLock::take_folder(const OutputPlace& place, const OutputOwner& owner, Bytes bytes) {
  const fs::path folder = resolved_path(place.path);
  check_surroundings(place, folder);
  std::vector<fs::path> made = make_folders(place, folder);
  OutputLock lock = take(place, folder / kOutputLockName, owner, bytes);
  lock.made_ = std::move(made);
  return lock;
}

OutputLock OutputLock::of_folder(const OutputPlace& place, const OutputOwner& owner) {
  return take_folder(place, owner, Bytes::kBoth);
}

OutputLock OutputLock::reserve_folder(const OutputPlace& place, const OutputOwner& owner) {
  return take_folder(place, owner, Bytes::kReservation);
}

OutputLock OutputLock::reserve_beside_writer(const OutputPlace& place, const OutputOwner& owner) {
  const fs::path folder = resolved_path(place.path);
  const auto writer = owner_of(folder / kOutputLockName);
  if (writer && writer->owner.job == owner.job && !owner.job.empty()) {
    check_surroundings(place, folder);
    OutputLock lock = open(place, folder / kOutputLockName);
    if (is_held_by_others(lock.descriptor_, kWriterByte) && lock_range(lock.descriptor_, kReservationByte)) {
      lock.locked_ = Bytes::kReservation;
      write_record(lock.descriptor_, owner);
      return lock;
    }
  }
  return reserve_folder(place, owner);
}

OutputLock OutputLock::of_writer(const OutputPlace& place, const OutputOwner& owner) {
  const fs::path folder = resolved_path(place.path);
  const auto reserved = owner_of(folder / kOutputLockName);
  if (reserved && reserved->owner.job == owner.job && !owner.job.empty()) {
    check_surroundings(place, folder);
    OutputLock lock = open(place, folder / kOutputLockName);
    if (is_held_by_others(lock.descriptor_, kReservationByte) && lock.lock(Bytes::kWriter)) return lock;
  }
  return of_folder(place, owner);
}

OutputLock OutputLock::beside(const OutputPlace& place, const OutputOwner& owner) {
  std::error_code ignored;
  const std::string fault = fault_of_destination(place.path);
  if (!fault.empty() && !fs::is_directory(place.path, ignored)) refuse(place, fault);
  const fs::path path = resolved_path(place.path);
  check_free(place);
  std::vector<fs::path> made = make_folders(place, path.parent_path());
  OutputLock lock = take(place, file_beside(path), owner, Bytes::kBoth);
  lock.made_ = std::move(made);
  remove_abandoned(path);
  return lock;
}

void OutputLock::check_free(const OutputPlace& place) {
  const fs::path path = resolved_path(place.path);
  check_surroundings(place, path);
  if (const auto owner = owner_of(path / kOutputLockName)) refuse_in_use(place, "", *owner);
}

OutputLock::OutputLock(OutputLock&& other) noexcept
    : file_(std::move(other.file_)),
      made_(std::move(other.made_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      locked_(other.locked_) {}

OutputLock::~OutputLock() {
  if (descriptor_ < 0) return;
  const bool is_ours =
      locked_ == Bytes::kBoth || (locked_ == Bytes::kReservation && !is_held_by_others(descriptor_, kWriterByte));
  if (is_ours && is_in_place()) {
    ::unlink(file_.c_str());
    for (const fs::path& folder : made_ | std::views::reverse) ::rmdir(folder.c_str());
  }
  ::close(descriptor_);
}

bool OutputLock::is_in_place() const { return is_path_of_lock(file_, descriptor_); }

}  // namespace equipoise
