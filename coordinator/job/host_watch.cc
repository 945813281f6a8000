#include "coordinator/job/host_watch.h"

#include <algorithm>

namespace equipoise::coordinator {

void HostWatch::suspect(const std::string& host) {
  if (rules_.between_questions.count() == 0) return;
  Host& known = hosts_[host];
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

void HostWatch::uncordon(const std::string& host) {
  const auto known = hosts_.find(host);
  if (known == hosts_.end()) return;
  known->second.cordon.reset();
  known->second.failures.clear();
  known->second.ask_at = {};
}

void HostWatch::note_success(const std::string& host) {
  if (const auto known = hosts_.find(host); known != hosts_.end()) known->second.failures.clear();
}

std::vector<std::string> HostWatch::questions(SteadyTime now) {
  std::vector<std::string> due;
  for (auto& [name, host] : hosts_) {
    if (!host.must_answer || host.cordon || host.is_asked || now < host.ask_at) continue;
    host.is_asked = true;
    due.push_back(name);
  }
  return due;
}

void HostWatch::note_answer(const std::string& host, bool has_answered, SteadyTime now) {
  const auto known = hosts_.find(host);
  if (known == hosts_.end()) return;
  known->second.is_asked = false;
  known->second.has_been_asked = true;
  known->second.ask_at = now + rules_.between_questions;
  if (has_answered) known->second.must_answer = false;
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
      text += ", which does not answer";
    } else {
      text += host.cordon->cause == HostCordon::Cause::kFailures ? ", which " : ", cordoned: ";
      text += host.cordon->reason;
    }
  }
  if (count > kMostNamed) text += ", and " + std::to_string(count - kMostNamed) + " more";
  return text;
}

}  // namespace equipoise::coordinator
