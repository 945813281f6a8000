// Which hosts of the hostfile are used: not those that did not answer until they do, not those where a rank has
// survived SIGKILL until it is gone, and not those that are cordoned, as they fail again and again or an operator says
// so. Decides on the times passed in; keeps no clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/lifecycle/clock.h"

namespace equipoise::coordinator {

struct HostRules {
  // Between two questions to a host that does not answer. 0: nobody is asked, and a host counts as answering at once.
  std::chrono::seconds between_questions{0};
  std::size_t most_failures = 3;  // in a row within `window`, of any jobs: the host is not used any more
  std::chrono::seconds window{3600};
};

// A rank's process on a host, of whose end nobody has told.
struct HostProcess {
  std::int64_t pid = 0;
  WallTime began_before{};  // when it registered
  std::string job_id = {};
  std::int64_t generation = 0;
  int rank = 0;
  char state = '?';  // as the kernel says it, of one that has survived
  bool operator==(const HostProcess&) const = default;
};

// "process 4711 (rank 3 of job survey-1a2b3c4d) has survived SIGKILL, in state D"
std::string survivor_text(const HostProcess& process);

// Why a host is not used until somebody says otherwise; of kSurvivor: or until those processes are gone.
struct HostCordon {
  enum class Cause { kOperator, kFailures, kSurvivor };
  Cause cause = Cause::kOperator;
  std::string reason;  // one sentence; of kFailures "has failed 3 times in a row within 60 min"
  WallTime since{};
  std::vector<HostProcess> survivors = {};
};

// Not thread-safe.
class HostWatch {
 public:
  explicit HostWatch(HostRules rules) : rules_(rules) {}

  // What ran there last may not have ended, or nobody could tell: it is not used before it answers, and before those of
  // `processes` are gone.
  void suspect(const std::string& host, const std::vector<HostProcess>& processes = {});
  // An attempt has failed because of it. Whether it is cordoned therefore from now on.
  bool note_failure(const std::string& host, SteadyTime now, WallTime wall);
  // An attempt has ended there as it should.
  void note_success(const std::string& host);
  // In place of what there is.
  void cordon(const std::string& host, HostCordon cordon);
  // It is used again, once it has answered where it must; what failed or survived so far does not count any more.
  void uncordon(const std::string& host);
  // Hosts that are to be asked now, some at a time; each is followed by note_answer(), and not asked again before.
  std::vector<std::string> questions(SteadyTime now);
  // Whether these are there yet is the question to that host.
  std::vector<HostProcess> asked_about(const std::string& host) const;
  // With which of those it was asked about are there: ranks that still end have 10 s before they count as survivors.
  // Whether its cordon is another one now.
  struct Answer {
    bool has_answered = false;
    std::vector<HostProcess> survivors = {};
  };
  bool note_answer(const std::string& host, const Answer& answer, SteadyTime now, WallTime wall);

  // A host that is to be asked has not said anything yet: it may be used in a moment.
  bool awaits_first_answers() const;

  std::set<std::string> unused() const;
  std::optional<HostCordon> cordon_of(const std::string& host) const;
  std::vector<std::string> cordoned_hosts() const;
  bool is_unanswering(const std::string& host) const;                  // also where it is cordoned
  int recent_failures(const std::string& host, SteadyTime now) const;  // within the window, in a row or not
  std::size_t cordoned() const { return cordoned_hosts().size(); }
  std::size_t unanswering() const;  // of the others, those that have not answered yet
  // "node2, which does not answer, and node3, which has failed 3 times in a row within 60 min, and node4, cordoned: its
  // fan is loud"; four of them at most, and how many more. Empty: all are used.
  std::string unused_text() const;

 private:
  struct Host {
    std::vector<SteadyTime> failures;         // in a row, within the window
    std::vector<SteadyTime> recent_failures;  // within the window
    std::optional<HostCordon> cordon = std::nullopt;
    bool must_answer = false;
    std::vector<HostProcess> processes, asked_about;
    std::optional<SteadyTime> left_since = std::nullopt;  // processes were there after the end of their attempt
    bool is_asked = false;
    bool has_been_asked = false;  // and there was an end to that
    SteadyTime ask_at{};
  };
  const HostRules rules_;
  std::map<std::string, Host> hosts_;  // that have not been well all the time
};

}  // namespace equipoise::coordinator
