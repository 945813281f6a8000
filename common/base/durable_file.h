// A file, or a folder, that is whole or not there: written aside, fsynced, then renamed into place.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace equipoise {

// Why no file can take the place of what is at `path`, as the end of a sentence that begins with the path: "is a FIFO,
// expected a file". Empty where a file is there, at the end of links too, or nothing. A name of an open file, such as
// /dev/stdout, is none: a new file would take the place of the one that is open.
std::string fault_of_destination(const std::filesystem::path& path);

// The file that is written where `path` is: at the end of links, absolute, whether it is there or not. Two paths with
// the same one are one file. Throws nothing.
std::filesystem::path destination_of(const std::filesystem::path& path);

// Removes what processes that were killed have left in `folder` of writing files or folders of these names, which
// stands beside their places. What a process has open stays, as does all that is no plain file or folder, and
// everything where the file system has no locks. For who alone may write there: locks of some file systems are not seen
// by other machines. Throws nothing.
void remove_abandoned(const std::filesystem::path& folder, const std::function<bool(std::string_view name)>& is_named);
void remove_abandoned(const std::filesystem::path& target);  // of writing this one

// Not thread-safe. What was at `path` before stays until commit(); without commit() nothing changes. A link stays too:
// its target is what is written, whether that is there or not. What killed processes have left of writing it a day ago
// is removed.
class DurableFile {
 public:
  // Opens a temporary file beside `path`. Throws std::invalid_argument naming the path and the cause: a folder that is
  // not there or not writable, or fault_of_destination(). A full disk is a DiskFault.
  explicit DurableFile(std::filesystem::path path);
  ~DurableFile();  // removes the temporary file, unless committed
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  // All of these throw std::runtime_error naming the path and the cause where that fails; where the disk refuses, a
  // DiskFault.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  // Where the bytes are until commit(): another process of this machine may write them, in place of write().
  const std::filesystem::path& path_aside() const { return aside_; }
  void flush();   // all bytes are on disk, still aside
  void commit();  // flush(), then the file stands at `path`, and the folder knows it after a crash

 private:
  std::filesystem::path path_;
  std::filesystem::path aside_;
  int descriptor_;  // locked, so that nobody takes it for one that was abandoned; -1 once closed
};

// One file in one call.
void write_durably(const std::filesystem::path& path, std::string_view content);

// Makes renames in `folder` survive a crash. Throws std::runtime_error, where the disk refuses a DiskFault.
void sync_folder(const std::filesystem::path& folder);

// Not thread-safe. What was at the target before stays until commit(); without commit() nothing changes. What is left
// of others is removed as by a DurableFile.
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
  // std::runtime_error, a DiskFault where the disk refuses; what was at the target is then still there.
  void commit(const std::filesystem::path& part = {});

 private:
  std::filesystem::path target_, aside_;
  Earlier earlier_;
  int descriptor_;  // of the folder aside, locked as that of a DurableFile
};

}  // namespace equipoise
