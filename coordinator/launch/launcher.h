// Starts and ends the processes of an attempt.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/process/earlier_process.h"
#include "common/process/mpirun_notice.h"
#include "coordinator/launch/hostfile.h"

namespace equipoise::coordinator {

struct AttemptKey {
  std::string job_id;
  std::int64_t generation = 0;
  auto operator<=>(const AttemptKey&) const = default;
};

struct LaunchRequest {
  AttemptKey attempt;
  int workers = 1;
  std::string token;                  // secret: known to this attempt's ranks alone
  std::vector<HostSlots> hosts = {};  // as many slots as workers; empty: this machine, or the batch system's nodes
  std::chrono::seconds start_timeout{120};              // for the ranks to reach each other
  std::map<std::string, std::string> mpi_options = {};  // checked parameters of Open MPI
  std::vector<std::string> environment = {};            // names of variables that ranks get too
  // Nothing is run but `true`: whether the hosts answer within half a minute. Without hosts this machine does, at once.
  bool is_question = false;
  std::vector<EarlierProcess> processes = {};  // of a question: `equipoise-worker processes` says which are there yet
};

struct LaunchExit {
  AttemptKey attempt;
  int exit_code = 0;                      // 128 + n after signal n
  std::string last_line = {};             // of what it wrote that says why; may be empty
  bool lost_contact = false;              // with a host, where ranks may go on
  std::optional<RankEnd> first_end = {};  // of the rank that ended first, where that is said
  std::string log = {};                   // the last 64 KiB of its standard error
  bool was_away = false;                  // the coordinator: the attempt ended before this one had found it
  std::string refusal = {};               // why it could not be started, and has had no processes; empty: it was
  // What was to start the processes was killed before it had: nobody's mistake, and the same may work the next time.
  bool was_interrupted = false;
};

class Launcher {
 public:
  using OnExit = std::function<void(const LaunchExit&)>;

  virtual ~Launcher() = default;
  // Returns at once: that the processes could not be started may be said by OnExit, too. Each start that does not throw
  // is followed by exactly one OnExit, from another thread. Throws PeerError saying why it could not be started.
  virtual void start(const LaunchRequest& request) = 0;
  // Asks the processes to end, as soon as there are any; nothing if they have.
  virtual void terminate(const AttemptKey& attempt) = 0;
  // Ends them likewise; nothing if they have.
  virtual void kill(const AttemptKey& attempt) = 0;
  // The attempts that an earlier coordinator started and whose processes run, or have ended since in a known way. Each
  // is from here on as if this launcher had started it: exactly one OnExit follows. Once, before the first start().
  virtual std::vector<AttemptKey> find() { return {}; }
  // What OnExit said of the attempt is stored: find() of a later coordinator need not tell it again.
  virtual void forget(const AttemptKey& /*attempt*/) {}
};

}  // namespace equipoise::coordinator
