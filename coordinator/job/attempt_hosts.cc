// Which hosts attempts are started on: those that were lost are asked first, and those that fail again and again are
// left out.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <set>
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

StoredCordon stored_cordon(const HostCordon& cordon) {
  return {.cause = cordon.cause == HostCordon::Cause::kFailures ? kFailuresCause : kOperatorCause,
          .reason = cordon.reason,
          .since = std::chrono::system_clock::to_time_t(cordon.since)};
}

HostCordon restored_cordon(const StoredCordon& cordon) {
  return {.cause = cordon.cause == kFailuresCause ? HostCordon::Cause::kFailures : HostCordon::Cause::kOperator,
          .reason = cordon.reason,
          .since = std::chrono::system_clock::from_time_t(cordon.since)};
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
