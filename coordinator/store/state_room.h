// Room for what must be written when the disk of the state folder is full: a file that is there for nothing else, and
// goes then, so that ends of jobs, cancels and deletes can still be stored.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace equipoise::coordinator {

struct DiskSpace {
  std::uint64_t free_bytes = 0;  // for this process
  std::uint64_t total_bytes = 0;
};

// Of the file system that `path` is on; nullopt where it does not say.
std::optional<DiskSpace> disk_space(const std::filesystem::path& path);

// max(64 MiB, 2 % of the disk): with less free, soon nothing can be stored.
std::uint64_t alarm_bytes(const DiskSpace& space);

// "12.3 MiB free of 1.0 GiB".
std::string space_text(const DiskSpace& space);

// Not thread-safe.
class StateRoom {
 public:
  static constexpr const char* kReserve = "reserve";  // its name in the state folder
  static constexpr std::uint64_t kReserveBytes = std::uint64_t{4} << 20;
  // Beside the reserve, before anything but ends of jobs is stored again: else the next steps fill the disk at once.
  static constexpr std::uint64_t kRoomToGoOn = std::uint64_t{1} << 20;

  // Keeps the reserve in `folder`, which is there. Makes none yet.
  explicit StateRoom(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Makes the reserve, if it is not there. False where there is no room for it and for what comes next; no part of it
  // is left then.
  bool make_reserve();
  // Gives its bytes back. The file stays, empty.
  void release_reserve();

  // Of the state folder, as it is now.
  std::optional<DiskSpace> space() const { return disk_space(folder_); }
  // "; the disk of FOLDER has 12.3 MiB free of 1.0 GiB"; empty where that is not known.
  std::string space_sentence() const;

 private:
  std::filesystem::path folder_;
};

}  // namespace equipoise::coordinator
