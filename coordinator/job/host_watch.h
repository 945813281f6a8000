// Which hosts of the hostfile are used: not those that did not answer until they do, and not those that fail again and
// again. Decides on the times passed in; keeps no clock.
#pragma once

#include <chrono>
#include <map>
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

// Not thread-safe.
class HostWatch {
 public:
  explicit HostWatch(HostRules rules) : rules_(rules) {}

  // What ran there last may not have ended, or nobody could tell: it is not used before it answers.
  void suspect(const std::string& host);
  // An attempt has failed because of it.
  void note_failure(const std::string& host, SteadyTime now);
  // An attempt has ended there as it should.
  void note_success(const std::string& host);
  // Hosts that are to be asked now; each is followed by note_answer(), and not asked again before.
  std::vector<std::string> questions(SteadyTime now);
  void note_answer(const std::string& host, bool has_answered, SteadyTime now);

  // A host that is to be asked has not said anything yet: it may be used in a moment.
  bool awaits_first_answers() const;

  std::set<std::string> unused() const;
  std::size_t cordoned() const;     // that failed again and again
  std::size_t unanswering() const;  // of the others, those that have not answered yet
  // "node2, which does not answer, and node3, which has failed 3 times in a row within 1 h"; empty: all are used.
  std::string unused_text() const;

 private:
  struct Host {
    std::vector<SteadyTime> failures;  // in a row, within the window
    bool is_cordoned = false;
    bool must_answer = false;
    bool is_asked = false;
    bool has_been_asked = false;  // and there was an end to that
    SteadyTime ask_at{};
  };
  const HostRules rules_;
  std::map<std::string, Host> hosts_;  // that have not been well all the time
};

}  // namespace equipoise::coordinator
