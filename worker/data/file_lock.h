// One of several processes on a host at a time.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>

namespace equipoise {

// Held until it is destroyed or the process ends.
class FileLock {
 public:
  // Makes `path` and waits for its lock. Nothing where the file system has no locks or its holder gives no sign of life
  // for `timeout`: the caller then does the work itself, so a lock may save work but nothing may depend on it.
  // `on_sign` is called where its holder has given one since the last look; it may throw.
  static std::optional<FileLock> acquire(const std::filesystem::path& path, std::chrono::seconds timeout,
                                         const std::function<void()>& on_sign = {});

  // A sign of life to those who wait, of work that goes on. May fail.
  void give_sign();

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();  // and removes the file

 private:
  FileLock(std::filesystem::path path, int descriptor);
  std::filesystem::path path_;
  int descriptor_;
};

}  // namespace equipoise
