// Which mount a path is on, told without asking the file system itself, which may never answer.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace equipoise::coordinator {

class MountTable {
 public:
  // Of this process, as they are now (/proc/self/mountinfo).
  static MountTable of_now();
  // Lines as in proc_pid_mountinfo(5).
  explicit MountTable(std::string_view lines);

  // The mount point that `path` is at or below; `path` is absolute, and no part of it is a link. "/" where there is no
  // other.
  std::string mount_of(const std::filesystem::path& path) const;

 private:
  std::vector<std::filesystem::path> points_;
};

// Follows `path` part by part. Before each part is asked for, `on_mount` is told the mount that will have to answer: so
// whoever waits for this knows for which one. It throws to end it. Ends where a part is not there.
void follow_path(const std::filesystem::path& path, const MountTable& mounts,
                 const std::function<void(const std::string&)>& on_mount);

// Asks the file system of `path`, or of the nearest folder of it that is there, for what no cache knows. Returns when
// it has answered.
void await_file_system(const std::filesystem::path& path);

}  // namespace equipoise::coordinator
