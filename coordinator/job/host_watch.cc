#include "coordinator/job/host_watch.h"

#include <algorithm>
#include <utility>

namespace equipoise::coordinator {

namespace {

constexpr std::size_t kMostAsked = 16;  // at a time: each question is an mpirun and an ssh
constexpr std::size_t kMostProcesses = 1024;
// A process that was killed may take seconds to give back a GPU's memory.
constexpr std::chrono::seconds kTimeToEnd{10}, kBetweenLooks{2};

const char* prefix_of(HostCordon::Cause cause) {
  switch (cause) {
    case HostCordon::Cause::kFailures:
      return ", which ";
    case HostCordon::Cause::kSurvivor:
      return ", where ";
    case HostCordon::Cause::kOperator:
      break;
  }
  return ", cordoned: ";
}

std::string survivors_text(const std::vector<HostProcess>& survivors) {
  std::string text = survivor_text(survivors.front());
  if (survivors.size() > 1) text += ", and " + std::to_string(survivors.size() - 1) + " more";
  return text;
}

}  // namespace

std::string survivor_text(const HostProcess& process) {
  return "process " + std::to_string(process.pid) + " (rank " + std::to_string(process.rank) + " of job " +
         process.job_id + ") has survived SIGKILL, in state " + process.state;
}

void HostWatch::suspect(const std::string& host, const std::vector<HostProcess>& processes) {
  if (rules_.between_questions.count() == 0) return;
  Host& known = hosts_[host];
  for (const HostProcess& process : processes) {
    const bool is_known = std::ranges::any_of(known.processes, [&](const HostProcess& one) {
      return one.pid == process.pid && one.began_before == process.began_before;
    });
    if (!is_known && known.processes.size() < kMostProcesses) known.processes.push_back(process);
  }
  if (known.must_answer) return;
  known.must_answer = true;
  known.has_been_asked = false;
  known.ask_at = {};
}

bool HostWatch::awaits_first_answers() const {
  return std::ranges::any_of(hosts_, [](const auto& entry) {
    const Host& host = entry.second;
    return host.must_answer && !host.cordon && !host.has_been_asked;
  });
}

bool HostWatch::note_failure(const std::string& host, SteadyTime now, WallTime wall) {
  Host& known = hosts_[host];
  for (std::vector<SteadyTime>* const times : {&known.failures, &known.recent_failures}) {
    std::erase_if(*times, [&](SteadyTime time) { return now - time > rules_.window; });
    times->push_back(now);
  }
  if (known.cordon || known.failures.size() < rules_.most_failures) return false;
  known.cordon = {.cause = HostCordon::Cause::kFailures,
                  .reason = "has failed " + std::to_string(rules_.most_failures) + " times in a row within " +
                            std::to_string(rules_.window.count() / 60) + " min",
                  .since = wall};
  return true;
}

void HostWatch::cordon(const std::string& host, HostCordon cordon) {
  if (cordon.cause == HostCordon::Cause::kSurvivor) suspect(host, cordon.survivors);
  hosts_[host].cordon = std::move(cordon);
}

void HostWatch::uncordon(const std::string& host) {
  const auto known = hosts_.find(host);
  if (known == hosts_.end()) return;
  known->second.cordon.reset();
  known->second.failures.clear();
  known->second.processes.clear();
  known->second.left_since.reset();
  known->second.ask_at = {};
}

void HostWatch::note_success(const std::string& host) {
  if (const auto known = hosts_.find(host); known != hosts_.end()) known->second.failures.clear();
}

std::vector<std::string> HostWatch::questions(SteadyTime now) {
  std::vector<std::string> due;
  auto asked =
      static_cast<std::size_t>(std::ranges::count_if(hosts_, [](const auto& entry) { return entry.second.is_asked; }));
  for (auto& [name, host] : hosts_) {
    const bool is_left_out = host.cordon && host.cordon->cause != HostCordon::Cause::kSurvivor;
    if (!host.must_answer || is_left_out || host.is_asked || now < host.ask_at) continue;
    if (asked++ >= kMostAsked) break;
    host.is_asked = true;
    host.asked_about = host.processes;
    due.push_back(name);
  }
  return due;
}

std::vector<HostProcess> HostWatch::asked_about(const std::string& host) const {
  const auto known = hosts_.find(host);
  return known == hosts_.end() ? std::vector<HostProcess>() : known->second.asked_about;
}

bool HostWatch::note_answer(const std::string& name, const Answer& answer, SteadyTime now, WallTime wall) {
  const auto known = hosts_.find(name);
  if (known == hosts_.end()) return false;
  Host& host = known->second;
  host.is_asked = false;
  host.has_been_asked = true;
  host.ask_at = now + rules_.between_questions;
  const std::vector<HostProcess> asked = std::exchange(host.asked_about, {});
  if (!answer.has_answered) return false;
  // Those that came since then were not asked about; and all are forgotten where somebody has uncordoned the host.
  std::erase_if(host.processes, [&](const HostProcess& one) {
    const bool is_there = std::ranges::any_of(answer.survivors, [&](const auto& left) { return left.pid == one.pid; });
    return !is_there && std::ranges::find(asked, one) != asked.end();
  });
  const bool is_by_survivor = host.cordon && host.cordon->cause == HostCordon::Cause::kSurvivor;
  if (host.processes.empty()) {
    host.left_since.reset();
    host.must_answer = false;
    if (is_by_survivor) host.cordon.reset();
    return is_by_survivor;
  }
  if (answer.survivors.empty()) {
    host.ask_at = now;
    return false;
  }
  if (!host.left_since) host.left_since = now;
  if (!is_by_survivor && now - *host.left_since < kTimeToEnd) {
    host.ask_at = now + kBetweenLooks;
    return false;
  }
  if (host.cordon && !is_by_survivor) return false;
  HostCordon cordon{.cause = HostCordon::Cause::kSurvivor,
                    .reason = survivors_text(answer.survivors),
                    .since = host.cordon ? host.cordon->since : wall,
                    .survivors = answer.survivors};
  const bool is_another = !host.cordon || host.cordon->reason != cordon.reason;
  host.cordon = std::move(cordon);
  return is_another;
}

std::set<std::string> HostWatch::unused() const {
  std::set<std::string> names;
  for (const auto& [name, host] : hosts_) {
    if (host.cordon || host.must_answer) names.insert(name);
  }
  return names;
}

std::vector<std::string> HostWatch::cordoned_hosts() const {
  std::vector<std::string> names;
  for (const auto& [name, host] : hosts_) {
    if (host.cordon) names.push_back(name);
  }
  return names;
}

std::optional<HostCordon> HostWatch::cordon_of(const std::string& host) const {
  const auto known = hosts_.find(host);
  return known == hosts_.end() ? std::nullopt : known->second.cordon;
}

bool HostWatch::is_unanswering(const std::string& host) const {
  const auto known = hosts_.find(host);
  return known != hosts_.end() && known->second.must_answer;
}

int HostWatch::recent_failures(const std::string& host, SteadyTime now) const {
  const auto known = hosts_.find(host);
  if (known == hosts_.end()) return 0;
  return static_cast<int>(std::ranges::count_if(known->second.recent_failures,
                                                [&](SteadyTime time) { return now - time <= rules_.window; }));
}

std::size_t HostWatch::unanswering() const { return unused().size() - cordoned(); }

std::string HostWatch::unused_text() const {
  constexpr std::size_t kMostNamed = 4;
  std::string text;
  std::size_t count = 0;
  for (const auto& [name, host] : hosts_) {
    if (!host.cordon && !host.must_answer) continue;
    if (++count > kMostNamed) continue;
    if (!text.empty()) text += ", and ";
    text += name;
    if (!host.cordon) {
      text += host.left_since ? ", where ranks of an attempt that is over are there yet" : ", which does not answer";
    } else {
      text += prefix_of(host.cordon->cause);
      text += host.cordon->reason;
    }
  }
  if (count > kMostNamed) text += ", and " + std::to_string(count - kMostNamed) + " more";
  return text;
}

}  // namespace equipoise::coordinator
