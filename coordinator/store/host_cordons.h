// Table host_cordons: hosts that no attempt is placed on, and why.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "coordinator/store/database.h"

namespace equipoise::coordinator {

struct StoredCordon {
  std::string cause;           // OPERATOR, FAILURES or SURVIVOR
  std::string reason;          // one sentence
  std::int64_t since = 0;      // unix seconds
  std::string processes = {};  // of SURVIVOR: a line for each, "PID BEGAN-BEFORE GENERATION RANK JOB"
};

// All throw StoreError, and have then changed nothing. Not thread-safe.
class HostCordons {
 public:
  // `database` has schema 10 and outlives it.
  explicit HostCordons(Database& database);

  // nullopt: there is none any more. Within a transaction of the caller.
  void set(const std::string& host, const std::optional<StoredCordon>& cordon);
  std::map<std::string, StoredCordon> all();  // by host

 private:
  Statement insert_, delete_, select_;
};

}  // namespace equipoise::coordinator
