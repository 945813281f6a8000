// The folder that holds everything the coordinator knows. One coordinator at a time, seen to by a file lock.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace equipoise::coordinator {

class StateFolder {
 public:
  // Makes the folder where it is not there and locks it until destruction or the end of the process.
  // Throws std::invalid_argument naming the folder and, where another coordinator has it, that one's pid, and why it
  // does not end where it was ended; or which of its files is no file, or of its folders no folder.
  explicit StateFolder(std::filesystem::path path);
  // The same of a folder in which nothing is changed: throws where it has no database, too.
  static StateFolder existing(std::filesystem::path path);
  ~StateFolder();
  StateFolder(StateFolder&& other) noexcept
      : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)), opened_(std::move(other.opened_)) {}
  StateFolder(const StateFolder&) = delete;
  StateFolder& operator=(const StateFolder&) = delete;

  std::filesystem::path database() const;
  // Once the database is open: loss() compares from now on.
  void remember_files();
  // Which of the lock, the database and its write-ahead log is not the file that was opened any more: what is written
  // goes to a file that has no name then. One sentence; empty while all are there. May be asked from any thread.
  std::string loss() const;
  // Makes those files as young as if they had just been written: what cleans a folder for temporary files looks at
  // that, and the lock of a coordinator that serves for weeks is never written again.
  void touch() const;
  // Where an attempt's output goes: logs/<job>/<generation>.
  std::filesystem::path logs() const;
  // A file for each attempt that runs: attempts/<job>.<generation>.
  std::filesystem::path attempts() const;

 private:
  StateFolder(std::filesystem::path path, int lock);
  void take_lock();  // of the file that is open, if one is

  struct OpenedFile {
    std::string name;
    dev_t device;
    ino_t inode;
  };
  std::filesystem::path path_;
  int lock_ = -1;
  std::vector<OpenedFile> opened_;
};

}  // namespace equipoise::coordinator
