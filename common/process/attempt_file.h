// What a coordinator and the shim of an attempt (coordinator/shim/) know of each other, over the end of either: a file
// that the coordinator makes and the shim locks for as long as it lives.
//
// Room for all that the shim will write is taken when the file is made, so a full disk keeps nothing from being said.
// Three lines at fixed places, spaces around them: who the shim is, whether mpirun could be started, how it ended.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace equipoise {

struct ShimState {
  pid_t pid = 0;                                // of the shim; 0: it has not begun
  std::uint64_t start_time = 0;                 // process_start_time() of it
  bool has_started = false;                     // the program runs, or did
  std::string refusal = {};                     // why it could not be started
  std::optional<int> exit_code = std::nullopt;  // of the program; 128 + n after signal n
};

// Not thread-safe.
class AttemptFile {
 public:
  // For the coordinator, which reads. make() takes the place of a file that no shim has locked. Both throw PeerError
  // naming the file and the cause.
  static AttemptFile make(const std::filesystem::path& path);
  static AttemptFile open(const std::filesystem::path& path);
  ~AttemptFile();
  AttemptFile(AttemptFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  AttemptFile(const AttemptFile&) = delete;
  AttemptFile& operator=(const AttemptFile&) = delete;

  // Whether a shim lives that has locked it.
  bool is_locked() const;
  // What is not written whole is as if it was not written.
  ShimState read() const;

  // For the shim. False: another process has locked it, or nothing stands at `path` any more, as a coordinator has
  // given the attempt up: nothing may be started then.
  bool lock(const std::filesystem::path& path);
  void write_shim(pid_t pid, std::uint64_t start_time);
  void write_started();
  void write_refusal(const std::string& why);
  void write_exit(int exit_code);

 private:
  explicit AttemptFile(int descriptor) : descriptor_(descriptor) {}
  void write(off_t place, const std::string& line);

  int descriptor_;
};

}  // namespace equipoise
