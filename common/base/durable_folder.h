// A folder that is whole or not there: filled aside, then renamed into place. durable_file.h does so for a file.
#pragma once

#include <filesystem>
#include <string>

namespace equipoise {

// Not thread-safe. What was at the target before stays until commit(); without commit() nothing changes.
class DurableFolder {
 public:
  // What happens to a folder that is at the target already.
  enum class Earlier { kRefused, kReplaced };

  // Makes a hidden folder beside `target`, which may end in a slash. Throws std::invalid_argument naming `target` where
  // that cannot be done, as its parent is not there or not writable, or, with kRefused, where anything is at `target`.
  explicit DurableFolder(const std::filesystem::path& target, Earlier earlier = Earlier::kRefused);
  ~DurableFolder();  // removes what is still aside
  DurableFolder(const DurableFolder&) = delete;
  DurableFolder& operator=(const DurableFolder&) = delete;

  // Where the files go until commit(); who writes them brings them to disk.
  const std::filesystem::path& path() const { return aside_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return aside_ / name; }

  // The folder, or `part` alone, a folder in it, stands at the target, and its parent knows it after a crash. Throws
  // std::runtime_error where the disk refuses; what was at the target is then still there.
  void commit(const std::filesystem::path& part = {});

 private:
  std::filesystem::path target_, aside_;
  Earlier earlier_;
};

}  // namespace equipoise
