#include "coordinator/store/state_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/base/durable_file.h"
#include "common/process/earlier_process.h"
#include "common/process/process_handle.h"
#include "coordinator/store/state_room.h"

namespace equipoise::coordinator {
namespace {

constexpr const char* kLock = "lock";
constexpr const char* kDatabase = "coordinator.sqlite3";
constexpr const char* kLogs = "logs";
constexpr const char* kAttempts = "attempts";

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& why) {
  throw std::invalid_argument("state folder " + path.string() + ": " + why);
}

// A FIFO in place of a file makes whoever opens it wait for ever, and SQLite calls what is there a broken disk.
void check_kinds(const std::filesystem::path& path) {
  const std::string database = kDatabase;
  for (const std::string& name : {std::string(kLock), std::string(StateRoom::kReserve), database, database + "-journal",
                                  database + "-shm", database + "-wal", std::string("webhook")}) {
    const std::string fault = fault_of_destination(path / name);
    if (!fault.empty()) refuse(path, name + " " + fault);
  }
  for (const char* const name : {kLogs, kAttempts}) {
    std::error_code error;
    const bool is_other =
        std::filesystem::exists(path / name, error) && !std::filesystem::is_directory(path / name, error);
    if (is_other) refuse(path, std::string(name) + " is not a folder");
  }
}

// A log always has a database that begins before it, on disk: SQLite would take a new one for it, and throw the log and
// all that is in it away.
void check_log_has_database(const std::filesystem::path& path) {
  struct stat database {
  }, log{};
  const std::string name = std::string(kDatabase) + "-wal";
  const bool has_log = ::stat((path / name).c_str(), &log) == 0 && S_ISREG(log.st_mode) && log.st_size > 0;
  if (!has_log) return;
  const bool is_there = ::stat((path / kDatabase).c_str(), &database) == 0;
  if (is_there ? database.st_size > 0 : errno != ENOENT) return;
  refuse(path, std::string(kDatabase) + (is_there ? " is empty" : " is not there") + ", but " + name + " has " +
                   std::to_string(log.st_size) +
                   " bytes of it: put the database back or restore a backup; to begin without any job move " + name +
                   " away");
}

std::string first_line(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t length = ::pread(descriptor, text.data(), text.size(), 0);
  const std::string all(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  return all.substr(0, all.find('\n'));
}

// Whether it was ended, and is held by a thread that waits in the kernel: no signal ends that, and until it is gone all
// that the process had open stays locked.
bool cannot_end(pid_t pid) {
  const auto fields = fields_behind_name("/proc/" + std::to_string(pid) + "/stat");
  return fields && fields->starts_with(" Z") && state_of({.pid = pid}) == 'D';
}

std::string holder_text(const std::string& pid) {
  if (pid.empty()) return "unknown";
  pid_t number = 0;
  const char* const end = pid.data() + pid.size();
  const bool is_number = std::from_chars(pid.data(), end, number).ptr == end && number > 0;
  if (!is_number || !cannot_end(number)) return pid;
  return pid +
         ", which was ended and cannot go, as a thread of it waits for a file system that does not answer: start this "
         "one again once that answers, or is unmounted (umount --force)";
}

}  // namespace

StateFolder::StateFolder(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) refuse(path_, "cannot be made: " + error.message());
  check_kinds(path_);
  check_log_has_database(path_);
  lock_ = ::open((path_ / kLock).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) refuse(path_, "cannot be written: " + std::generic_category().message(errno));
  take_lock();
  const std::string pid = std::to_string(::getpid()) + "\n";
  // In this order a full disk takes it too, where the file has had bytes before.
  const bool is_written =
      ::pwrite(lock_, pid.data(), pid.size(), 0) > 0 && ::ftruncate(lock_, static_cast<off_t>(pid.size())) == 0;
  if (!is_written) {
    const std::string why = std::generic_category().message(errno);
    ::close(lock_);
    refuse(path_, "cannot be written: " + why);
  }
}

StateFolder::StateFolder(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) { take_lock(); }

StateFolder StateFolder::existing(std::filesystem::path path) {
  check_kinds(path);
  const std::filesystem::path database = path / kDatabase;
  if (!std::filesystem::exists(database)) refuse(path, std::string("has no ") + kDatabase);
  check_log_has_database(path);
  const int lock = ::open((path / kLock).c_str(), O_RDONLY | O_CLOEXEC);
  if (lock < 0 && errno != ENOENT) refuse(path, "cannot be read: " + std::generic_category().message(errno));
  return {std::move(path), lock};
}

std::filesystem::path StateFolder::database() const { return path_ / kDatabase; }

std::filesystem::path StateFolder::logs() const { return path_ / kLogs; }

std::filesystem::path StateFolder::attempts() const { return path_ / kAttempts; }

void StateFolder::take_lock() {
  if (lock_ < 0 || ::flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
  const std::string holder = first_line(lock_);
  ::close(std::exchange(lock_, -1));
  refuse(path_, "in use by the equipoise-coordinator with pid " + holder_text(holder));
}

void StateFolder::remember_files() {
  opened_.clear();
  for (const std::string& name : {std::string(kLock), std::string(kDatabase), std::string(kDatabase) + "-wal"}) {
    struct stat file {};
    if (::stat((path_ / name).c_str(), &file) != 0) continue;
    opened_.push_back({.name = name, .device = file.st_dev, .inode = file.st_ino});
  }
}

std::string StateFolder::loss() const {
  for (const OpenedFile& opened : opened_) {
    struct stat file {};
    const bool is_there = ::stat((path_ / opened.name).c_str(), &file) == 0;
    // Another reason, such as a network that fails for a moment, says nothing of the file.
    const bool is_gone = !is_there && (errno == ENOENT || errno == ENOTDIR);
    const bool is_other = is_there && (file.st_dev != opened.device || file.st_ino != opened.inode);
    if (!is_gone && !is_other) continue;
    return "state folder " + path_.string() + ": " + opened.name + " was " + (is_gone ? "deleted" : "replaced") +
           " while this coordinator had it open";
  }
  return "";
}

void StateFolder::touch() const {
  for (const OpenedFile& opened : opened_) ::utimensat(AT_FDCWD, (path_ / opened.name).c_str(), nullptr, 0);
}

StateFolder::~StateFolder() {
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace equipoise::coordinator
