// A small file in which a worker says what it is doing, for the command that has started it and shows it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace equipoise {

struct Activity {
  std::string name;          // "policy log-probs", one line
  std::int64_t percent = 0;  // of it
};

// Not thread-safe.
class ActivityFile {
 public:
  // An empty path: nothing is written. It must not be in the way of another file, nor "PATH.new".
  explicit ActivityFile(std::filesystem::path path) : path_(std::move(path)) {}

  // A line "12 policy log-probs", replaced as a whole. A new activity is written at once, a percentage five times a
  // second at most. A file that cannot be written is no reason to stop: nothing is thrown.
  void tell(const Activity& activity);

 private:
  std::filesystem::path path_;
  std::string name_;  // what was told last
  std::chrono::steady_clock::time_point told_;
};

// Nothing where there is no such file, or no such line in it.
std::optional<Activity> read_activity(const std::filesystem::path& file);

}  // namespace equipoise
