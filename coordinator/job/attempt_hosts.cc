// Which hosts attempts are started on: those that were lost are asked first, and those that fail again and again are
// left out.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/job/attempt_supervisor.h"
#include "coordinator/job/job_progress.h"

namespace equipoise::coordinator {
namespace {

// No id of a job has a space.
constexpr std::string_view kQuestion = "host ";

// Hosts of ranks that may still run as far as they have said, as the hostfile names them.
std::vector<std::string> silent_hosts(const Membership& members, const std::vector<HostSlots>& hosts) {
  std::vector<int> ranks = members.missing();
  for (const SilentRank& silent : members.unconfirmed()) ranks.push_back(silent.rank);
  std::vector<std::string> names;
  for (const int rank : ranks) {
    std::string name = host_of_rank(hosts, rank);
    if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

// Where all hosts of several have failed at once, it is more likely that of the coordinator, or the network.
void AttemptSupervisor::note_host_failures(const AttemptKey& key, const std::vector<std::string>& names) {
  const auto attempt = attempts_.find(key);
  if (attempt == attempts_.end()) return;
  const std::vector<HostSlots>& hosts = attempt->second.hosts;
  const bool are_all = hosts.size() > 1 && names.size() >= hosts.size();
  if (are_all || attempt->second.has_failed_hosts) return;
  for (const std::string& name : names) {
    if (std::ranges::find(hosts, name, &HostSlots::name) == hosts.end()) continue;
    attempt->second.has_failed_hosts = true;
    const std::size_t cordoned = host_watch_.cordoned();
    host_watch_.note_failure(name, table_.clock().now());
    if (host_watch_.cordoned() == cordoned) continue;
    spdlog::warn("{} is not used any more until the coordinator is started again: unused are {}", name,
                 host_watch_.unused_text());
  }
}

// Of an attempt that mpirun has lost contact with: its exit names the host, if anything does.
void AttemptSupervisor::note_lost_contact(const LaunchExit& exit) {
  const auto attempt = attempts_.find(exit.attempt);
  if (attempt == attempts_.end()) return;
  std::vector<std::string> named;
  for (const HostSlots& host : attempt->second.hosts) {
    const std::string bare = host.name.substr(host.name.find('@') + 1);
    if (exit.last_line.find(bare) != std::string::npos) named.push_back(host.name);
  }
  note_host_failures(exit.attempt, named);
}

void AttemptSupervisor::suspect_hosts(const JobRecord* record, const LiveAttempt& attempt) {
  std::vector<std::string> names;
  if (record != nullptr && record->members) {
    names = silent_hosts(*record->members, attempt.hosts);
  } else {
    for (const HostSlots& host : attempt.hosts) names.push_back(host.name);
  }
  for (const std::string& name : names) host_watch_.suspect(name);
}

void AttemptSupervisor::watch_hosts(SteadyTime now) {
  if (slots_.total() == 0) return;
  const bool asks_nobody = is_shutting_down() || are_launches_held_;
  for (const std::string& host : asks_nobody ? std::vector<std::string>() : host_watch_.questions(now)) {
    try {
      LaunchRequest question;
      question.attempt = {.job_id = std::string(kQuestion) + host, .generation = 1};
      question.hosts.push_back({.name = host, .slots = 1});
      question.is_question = true;
      launcher_.start(question);
    } catch (const std::exception& error) {  // whatever it is: it is asked again
      spdlog::warn("{} could not be asked whether it answers: {}", host, error.what());
      host_watch_.note_answer(host, false, now);
    }
  }
  slots_.set_unused(host_watch_.unused());
  table_.metrics().show_hosts({.cordoned = host_watch_.cordoned(), .unanswering = host_watch_.unanswering()});
}

bool AttemptSupervisor::is_question(const AttemptKey& key) { return key.job_id.starts_with(kQuestion); }

bool AttemptSupervisor::take_answer(const LaunchExit& exit) {
  if (!is_question(exit.attempt)) return false;
  launcher_.forget(exit.attempt);
  const std::string host = exit.attempt.job_id.substr(kQuestion.size());
  const bool has_answered = exit.exit_code == 0;
  spdlog::log(has_answered ? spdlog::level::info : spdlog::level::warn, "{} {}", host,
              has_answered ? "answers, and is used again" : "does not answer, and is not used: " + exit.last_line);
  host_watch_.note_answer(host, has_answered, table_.clock().now());
  return true;
}

}  // namespace equipoise::coordinator
