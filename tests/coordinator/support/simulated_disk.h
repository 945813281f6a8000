// A disk of SQLite that is all in memory, forgets what was not synced, and stops at any write.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/split_mix64.h"

namespace equipoise::coordinator {

// What is on the disk after a crash, of what was written since the last sync of each file.
enum class Loss {
  kNothing,  // the process was killed: the machine writes what it has
  kAll,      // the machine lost its power
  kSome      // and some writes had reached the disk: any of them, also the first half of one
};

// While it lives, every database that is opened is on it, whatever its path: one connection to each. Not thread-safe;
// one at a time.
class SimulatedDisk {
 public:
  SimulatedDisk();
  ~SimulatedDisk();
  SimulatedDisk(const SimulatedDisk&) = delete;
  SimulatedDisk& operator=(const SimulatedDisk&) = delete;

  // Writes, truncations, syncs and deletions so far that were not refused.
  std::int64_t operations() const { return operations_; }
  // After so many more of them every one fails, until crash(): whatever the program does then, the disk stays as it
  // was.
  void stop_after(std::int64_t operations) { left_ = operations; }
  bool has_stopped() const { return left_ == 0; }
  // No database is open: what was is closed after stop_after(0), and so has written nothing at its end. Ends what
  // stop_after() began.
  void crash(Loss loss, SplitMix64& random);
  // No file grows any more.
  void set_full(bool is_full) { is_full_ = is_full; }
  bool is_full() const { return is_full_; }
  // A disk that lies: syncs succeed and do nothing.
  void ignore_syncs() { ignores_syncs_ = true; }

 private:
  struct Change {
    std::size_t offset = 0;
    std::string bytes = {};  // empty: the file was cut at `offset`
  };
  struct File {
    std::string content;
    std::string synced;
    std::vector<Change> unsynced;
    bool is_named = false;  // on the disk also after kAll: it was synced since it was made
    std::vector<std::unique_ptr<char[]>> shared_memory;
  };
  struct Handle;
  struct Methods;

  bool takes_operation();
  static void apply(const Change& change, std::string& content);

  sqlite3_vfs vfs_{};
  std::string name_;
  std::map<std::string, std::shared_ptr<File>> files_;
  std::int64_t operations_ = 0;
  std::int64_t left_ = -1;  // negative: no end
  bool is_full_ = false;
  bool ignores_syncs_ = false;
  SplitMix64 salts_{7};
};

}  // namespace equipoise::coordinator
