#include "coordinator/lifecycle/restart_policy.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <string_view>

namespace equipoise::coordinator {
namespace {

constexpr std::chrono::seconds kShortestDelay{1}, kLongestDelay{60};
constexpr std::size_t kMostDoublings = 6;   // 2^6 s are more than the longest
constexpr std::size_t kMostCausesTold = 4;  // before the last

// mpirun says which process it was: another one each time.
std::string without_process_ids(std::string_view text) {
  constexpr std::string_view kMark = "PID ";
  std::string result;
  for (std::size_t mark = text.find(kMark); mark != std::string_view::npos; mark = text.find(kMark)) {
    result.append(text.substr(0, mark + kMark.size()));
    text.remove_prefix(mark + kMark.size());
    while (!text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  }
  return result.append(text);
}

}  // namespace

std::size_t failures_by(const std::vector<AttemptFailure>& failures, RestartCause cause) {
  return static_cast<std::size_t>(std::ranges::count(failures, cause, &AttemptFailure::restart_cause));
}

std::chrono::seconds restart_delay(const std::vector<AttemptFailure>& failures) {
  if (failures.empty()) return std::chrono::seconds(0);  // the coordinator was stopped in order
  const std::size_t doublings = std::min(failures.size() - 1, kMostDoublings);
  return std::min(kLongestDelay, kShortestDelay * (std::int64_t{1} << doublings));
}

std::chrono::seconds preemption_delay(const std::vector<AttemptFailure>& failures) {
  return std::max(kShortestDelay, restart_delay(failures));
}

bool is_crash_signal(int signal) {
  constexpr std::array kOfPrograms{SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};
  return std::ranges::find(kOfPrograms, signal) != kOfPrograms.end();
}

bool is_crash_loop(const std::vector<AttemptFailure>& failures) {
  if (failures.size() < 2) return false;
  const AttemptFailure &last = failures.back(), &before = failures[failures.size() - 2];
  if (last.step != before.step) return false;
  if (last.is_crash && before.is_crash) return true;
  return last.is_of_the_job && before.is_of_the_job &&
         without_process_ids(last.cause) == without_process_ids(before.cause);
}

std::string causes_before_last(const std::vector<AttemptFailure>& failures) {
  std::string text;
  for (std::size_t i = 1; i < failures.size(); ++i) {
    if (i > kMostCausesTold) return text + "; and " + std::to_string(failures.size() - i) + " more";
    const std::string& cause = failures[failures.size() - 1 - i].cause;
    text += i == 1 ? "; before: " : "; ";
    text += cause == failures.back().cause ? "the same" : cause;
  }
  return text;
}

}  // namespace equipoise::coordinator
