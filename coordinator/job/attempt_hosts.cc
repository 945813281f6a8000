// Which hosts attempts are started on: those that were lost are asked first, and those that fail again and again are
// left out.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <exception>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/job/attempt_supervisor.h"
#include "coordinator/job/job_progress.h"

namespace equipoise::coordinator {
namespace {

// No id of a job has a space.
constexpr std::string_view kQuestion = "host ";

constexpr const char* kOperatorCause = "OPERATOR";
constexpr const char* kFailuresCause = "FAILURES";
constexpr const char* kSurvivorCause = "SURVIVOR";

const char* cause_name(HostCordon::Cause cause) {
  switch (cause) {
    case HostCordon::Cause::kFailures:
      return kFailuresCause;
    case HostCordon::Cause::kSurvivor:
      return kSurvivorCause;
    case HostCordon::Cause::kOperator:
      break;
  }
  return kOperatorCause;
}

HostCordon::Cause cause_of(const std::string& name) {
  if (name == kFailuresCause) return HostCordon::Cause::kFailures;
  return name == kSurvivorCause ? HostCordon::Cause::kSurvivor : HostCordon::Cause::kOperator;
}

std::string lines_of(const std::vector<HostProcess>& processes) {
  std::ostringstream lines;
  for (const HostProcess& process : processes) {
    lines << process.pid << ' ' << std::chrono::system_clock::to_time_t(process.began_before) << ' '
          << process.generation << ' ' << process.rank << ' ' << process.job_id << '\n';
  }
  return lines.str();
}

// Up to a line that cannot be read, if there is one.
std::vector<HostProcess> processes_of(const std::string& text) {
  std::vector<HostProcess> processes;
  std::istringstream lines(text);
  HostProcess process;
  for (std::time_t began = 0; lines >> process.pid >> began >> process.generation >> process.rank >> process.job_id;) {
    process.began_before = std::chrono::system_clock::from_time_t(began);
    processes.push_back(process);
  }
  return processes;
}

StoredCordon stored_cordon(const HostCordon& cordon) {
  return {.cause = cause_name(cordon.cause),
          .reason = cordon.reason,
          .since = std::chrono::system_clock::to_time_t(cordon.since),
          .processes = lines_of(cordon.survivors)};
}

HostCordon restored_cordon(const StoredCordon& cordon) {
  return {.cause = cause_of(cordon.cause),
          .reason = cordon.reason,
          .since = std::chrono::system_clock::from_time_t(cordon.since),
          .survivors = processes_of(cordon.processes)};
}

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
    if (!host_watch_.note_failure(name, table_.clock().now(), table_.clock().wall())) continue;
    unstored_cordons_.insert(name);
    spdlog::warn("host {} is cordoned, as it {}; `equipoise hosts uncordon` lets it be used again", name,
                 host_watch_.cordon_of(name)->reason);
  }
  store_cordons();
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
  if (record == nullptr) return;
  for (const auto& [name, processes] : processes_left(*record, attempt.hosts)) host_watch_.suspect(name, processes);
}

void AttemptSupervisor::suspect_processes(const AttemptKey& key, const LiveAttempt& attempt) {
  if (!table_.contains(key.job_id)) return;
  const JobRecord& record = table_.find(key.job_id);
  if (record.job.generation() != key.generation) return;
  for (const auto& [name, processes] : processes_left(record, attempt.hosts)) host_watch_.suspect(name, processes);
}

std::string AttemptSupervisor::host_of(int rank, const std::vector<HostSlots>& hosts) const {
  return hosts.empty() ? settings_.this_machine : host_of_rank(hosts, rank);
}

std::map<std::string, std::vector<HostProcess>> AttemptSupervisor::processes_left(
    const JobRecord& record, const std::vector<HostSlots>& hosts) const {
  std::map<std::string, std::vector<HostProcess>> processes;
  if (!record.members) return processes;
  for (const auto& [rank, process, registered] : record.members->unended()) {
    const std::string host = host_of(rank, hosts);
    if (host.empty() || process.pid <= 0) continue;
    const auto since = std::chrono::duration_cast<WallTime::duration>(table_.clock().now() - registered);
    processes[host].push_back({.pid = process.pid,
                               .began_before = table_.clock().wall() - since,
                               .job_id = record.job.id(),
                               .generation = record.job.generation(),
                               .rank = rank});
  }
  return processes;
}

// With `processes` it answers whether they are there; without any, whether it is.
void AttemptSupervisor::ask(const std::string& host) {
  LaunchRequest question;
  question.attempt = {.job_id = std::string(kQuestion) + host, .generation = 1};
  if (host != settings_.this_machine) question.hosts.push_back({.name = host, .slots = 1});
  question.is_question = true;
  for (const HostProcess& process : host_watch_.asked_about(host)) {
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(table_.clock().wall() - process.began_before);
    question.processes.push_back(
        {.pid = static_cast<pid_t>(process.pid), .began_before = std::max(age, std::chrono::seconds(0))});
  }
  launcher_.start(question);
}

void AttemptSupervisor::watch_hosts(SteadyTime now) {
  if (slots_.total() == 0 && settings_.this_machine.empty()) return;
  const bool asks_nobody = is_shutting_down() || are_launches_held_;
  for (const std::string& host : asks_nobody ? std::vector<std::string>() : host_watch_.questions(now)) {
    // Without a hostfile nothing is started on other machines: nobody asks them, and a person lifts their cordons.
    if (!settings_.this_machine.empty() && host != settings_.this_machine) {
      const bool is_done = !host_watch_.cordon_of(host);
      host_watch_.note_answer(host, {.has_answered = is_done}, now, table_.clock().wall());
      continue;
    }
    try {
      ask(host);
    } catch (const std::exception& error) {  // whatever it is: it is asked again
      spdlog::warn("{} could not be asked whether it answers: {}", host, error.what());
      host_watch_.note_answer(host, {}, now, table_.clock().wall());
    }
  }
  store_cordons();
  slots_.set_unused(host_watch_.unused());
  table_.metrics().show_hosts({.cordoned = host_watch_.cordoned(), .unanswering = host_watch_.unanswering()});
}

// A damaged table keeps no coordinator from starting.
void AttemptSupervisor::read_cordons() {
  try {
    for (const auto& [host, cordon] : table_.store().host_cordons().all())
      host_watch_.cordon(host, restored_cordon(cordon));
  } catch (const StoreError& error) {
    if (error.cause() != StoreError::Cause::kDamaged) throw;
    spdlog::error("which hosts are cordoned cannot be read, and all are used: {}", error.what());
  }
}

// Those that follow from failures hold whether they can be stored or not.
void AttemptSupervisor::store_cordons() {
  if (unstored_cordons_.empty() || table_.is_held()) return;
  for (const std::string& host : std::set<std::string>(unstored_cordons_)) {
    try {
      const auto cordon = host_watch_.cordon_of(host);
      table_.store().set_cordon(host, cordon ? std::optional(stored_cordon(*cordon)) : std::nullopt);
      unstored_cordons_.erase(host);
    } catch (const StoreError& error) {
      if (error.cause() != StoreError::Cause::kDamaged) return table_.note_failure(error);
      spdlog::error("host {} is cordoned until the coordinator is started again: {}", host, error.what());
      unstored_cordons_.erase(host);
    }
  }
}

void AttemptSupervisor::set_cordon(const std::string& host, const std::optional<HostCordon>& cordon,
                                   const std::optional<AnsweredRequest>& request) {
  table_.check_room();
  table_.store().set_cordon(host, cordon ? std::optional(stored_cordon(*cordon)) : std::nullopt, request);
  unstored_cordons_.erase(host);
  if (cordon) {
    host_watch_.cordon(host, *cordon);
  } else {
    host_watch_.uncordon(host);
  }
  slots_.set_unused(host_watch_.unused());
}

HostView AttemptSupervisor::view_of(const HostSlots& host) const {
  HostView view{.name = host.name,
                .slots = host.slots,
                .recent_failures = host_watch_.recent_failures(host.name, table_.clock().now()),
                .is_unanswering = host_watch_.is_unanswering(host.name),
                .cordon = host_watch_.cordon_of(host.name)};
  for (const auto& [key, attempt] : attempts_) {
    for (const HostSlots& taken : attempt.hosts) {
      if (taken.name != host.name) continue;
      view.used_slots += taken.slots;
      if (view.job_ids.empty() || view.job_ids.back() != key.job_id) view.job_ids.push_back(key.job_id);
    }
  }
  return view;
}

std::vector<HostView> AttemptSupervisor::hosts() const {
  std::vector<HostView> views;
  for (const HostSlots& host : settings_.hosts) views.push_back(view_of(host));
  for (const std::string& name : host_watch_.cordoned_hosts()) {
    const bool is_listed = std::ranges::find(settings_.hosts, name, &HostSlots::name) != settings_.hosts.end();
    if (!is_listed) views.push_back(view_of({.name = name, .slots = 0}));
  }
  return views;
}

bool AttemptSupervisor::is_question(const AttemptKey& key) { return key.job_id.starts_with(kQuestion); }

void AttemptSupervisor::tell_of_survivor(const std::string& host, const HostProcess& process) {
  const std::string sentence = survivor_text(process) + ": " + host +
                               " is not used before it is gone, or before `equipoise hosts uncordon " + host + "`";
  spdlog::warn("host {}: {}", host, sentence);
  if (table_.contains(process.job_id)) {
    table_.tell_of_attempt(table_.find(process.job_id), process.generation, sentence);
  }
}

bool AttemptSupervisor::take_answer(const LaunchExit& exit) {
  if (!is_question(exit.attempt)) return false;
  launcher_.forget(exit.attempt);
  const std::string host = exit.attempt.job_id.substr(kQuestion.size());
  const std::vector<HostProcess> asked = host_watch_.asked_about(host);
  const auto states = processes_in(exit.log);
  HostWatch::Answer answer{.has_answered = exit.exit_code == 0 && (asked.empty() || states)};
  for (HostProcess process : answer.has_answered ? asked : std::vector<HostProcess>()) {
    const auto state = states->find(static_cast<pid_t>(process.pid));
    if (state == states->end()) continue;
    process.state = state->second;
    answer.survivors.push_back(process);
  }
  if (!answer.has_answered) spdlog::warn("{} does not answer, and is not used: {}", host, exit.last_line);
  const bool is_other_cordon = host_watch_.note_answer(host, answer, table_.clock().now(), table_.clock().wall());
  if (!host_watch_.unused().contains(host)) spdlog::info("{} answers, and is used again", host);
  if (!is_other_cordon) return true;
  if (const auto cordon = host_watch_.cordon_of(host)) {
    for (const HostProcess& survivor : cordon->survivors) tell_of_survivor(host, survivor);
  }
  unstored_cordons_.insert(host);
  store_cordons();
  return true;
}

}  // namespace equipoise::coordinator
