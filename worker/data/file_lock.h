// One of several processes on a host at a time.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>

namespace equipoise {

// Held until it is destroyed or the process ends.
class FileLock {
 public:
  // Makes `path` and waits for its lock. Nothing where the file system has no locks or `timeout` is over: the caller
  // then does the work itself, so a lock may save work but nothing may depend on it.
  static std::optional<FileLock> acquire(const std::filesystem::path& path, std::chrono::seconds timeout);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();  // and removes the file

 private:
  FileLock(std::filesystem::path path, int descriptor);
  std::filesystem::path path_;
  int descriptor_;
};

}  // namespace equipoise
