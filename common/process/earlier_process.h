// A process of which its number is known and a time at which it ran: whether it is there yet, also where no signal ends
// it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace equipoise {

struct EarlierProcess {
  pid_t pid = 0;
  std::chrono::seconds began_before{};  // now: a younger process of this number is another one
};

// "4711:12"; reading throws std::invalid_argument.
std::string earlier_process_text(const EarlierProcess& process);
EarlierProcess parse_earlier_process(const std::string& text);

// The kernel's letter for what the process does: D where it cannot be ended. Of several threads one in D comes first,
// as what a process holds is free only once all have ended. nullopt: it is gone, or has ended and nobody has waited for
// it yet.
std::optional<char> state_of(const EarlierProcess& process);

// A line, and one for each that is there; and the states that the last such lines in a log tell of, by number. nullopt:
// there are none.
std::string processes_text(const std::vector<EarlierProcess>& processes);
std::optional<std::map<pid_t, char>> processes_in(std::string_view log);

}  // namespace equipoise
