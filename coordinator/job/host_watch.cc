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
    return host.must_answer && !host.is_cordoned && !host.has_been_asked;
  });
}

void HostWatch::note_failure(const std::string& host, SteadyTime now) {
  Host& known = hosts_[host];
  std::erase_if(known.failures, [&](SteadyTime time) { return now - time > rules_.window; });
  known.failures.push_back(now);
  if (known.failures.size() >= rules_.most_failures) known.is_cordoned = true;
}

void HostWatch::note_success(const std::string& host) {
  if (const auto known = hosts_.find(host); known != hosts_.end()) known->second.failures.clear();
}

std::vector<std::string> HostWatch::questions(SteadyTime now) {
  std::vector<std::string> due;
  for (auto& [name, host] : hosts_) {
    if (!host.must_answer || host.is_cordoned || host.is_asked || now < host.ask_at) continue;
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
    if (host.is_cordoned || host.must_answer) names.insert(name);
  }
  return names;
}

std::size_t HostWatch::cordoned() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(hosts_, [](const auto& entry) { return entry.second.is_cordoned; }));
}

std::size_t HostWatch::unanswering() const { return unused().size() - cordoned(); }

std::string HostWatch::unused_text() const {
  std::string text;
  for (const auto& [name, host] : hosts_) {
    if (!host.is_cordoned && !host.must_answer) continue;
    if (!text.empty()) text += ", and ";
    text += name;
    text += host.is_cordoned ? ", which has failed " + std::to_string(rules_.most_failures) +
                                   " times in a row within " + std::to_string(rules_.window.count() / 60) + " min"
                             : ", which does not answer";
  }
  return text;
}

}  // namespace equipoise::coordinator
