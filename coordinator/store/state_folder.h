// The folder that holds everything the coordinator knows. One coordinator at a time, seen to by a file lock.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace equipoise::coordinator {

class StateFolder {
 public:
  // Makes the folder where it is not there and locks it until destruction or the end of the process.
  // Throws std::invalid_argument naming the folder and, where another coordinator has it, that one's pid.
  explicit StateFolder(std::filesystem::path path);
  ~StateFolder();
  StateFolder(const StateFolder&) = delete;
  StateFolder& operator=(const StateFolder&) = delete;

  std::filesystem::path database() const { return path_ / "coordinator.sqlite3"; }
  // Where an attempt's output goes: logs/<job>/<generation>.
  std::filesystem::path logs() const { return path_ / "logs"; }

 private:
  std::filesystem::path path_;
  int lock_ = -1;
};

}  // namespace equipoise::coordinator
