#include "coordinator/job/host_calls.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <vector>

#include "common/base/message_text.h"
#include "coordinator/job/job_progress.h"
#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kLongestCordonReason = 256;
// Whatever the hostfile says: page tokens are for one list.
constexpr const char* kHostList = "hosts";

v1::HostState host_state(const HostView& host) {
  if (host.cordon) return v1::HOST_STATE_CORDONED;
  return host.is_unanswering ? v1::HOST_STATE_UNANSWERING : v1::HOST_STATE_READY;
}

v1::CordonCause cordon_cause(HostCordon::Cause cause) {
  switch (cause) {
    case HostCordon::Cause::kFailures:
      return v1::CORDON_CAUSE_FAILURES;
    case HostCordon::Cause::kSurvivor:
      return v1::CORDON_CAUSE_SURVIVOR;
    case HostCordon::Cause::kOperator:
      break;
  }
  return v1::CORDON_CAUSE_OPERATOR;
}

v1::Host host_message(const HostView& host) {
  v1::Host message;
  message.set_name(host.name);
  message.set_slots(host.slots);
  message.set_used_slots(host.used_slots);
  message.set_recent_failures(host.recent_failures);
  message.set_state(host_state(host));
  for (const std::string& id : host.job_ids) message.add_job_ids(id);
  if (!host.cordon) return message;
  message.mutable_cordon()->set_reason(host.cordon->reason);
  message.mutable_cordon()->set_cause(cordon_cause(host.cordon->cause));
  *message.mutable_cordon()->mutable_create_time() = timestamp(host.cordon->since);
  return message;
}

std::string checked_reason(const std::string& reason) {
  const bool is_said = std::ranges::any_of(reason, [](unsigned char c) { return c > ' '; });
  if (!is_said) throw std::invalid_argument("reason is empty, expected a sentence that says why");
  if (reason.size() <= kLongestCordonReason) return one_line(utf8_text(reason), kLongestCordonReason);
  throw std::invalid_argument("reason has " + std::to_string(reason.size()) + " bytes, expected at most " +
                              std::to_string(kLongestCordonReason));
}

std::string known_hosts_text(const std::vector<HostView>& hosts) {
  if (hosts.empty()) return "this coordinator has no hostfile";
  std::vector<HostSlots> named;
  for (const HostView& host : hosts) named.push_back({.name = host.name, .slots = host.slots});
  return "the hosts are " + host_names(named);
}

// By its name in the hostfile, or that without a user.
HostView found_in(const std::vector<HostView>& hosts, const std::string& name) {
  auto host = std::ranges::find(hosts, name, &HostView::name);
  if (host == hosts.end()) {
    host = std::ranges::find_if(hosts,
                                [&](const HostView& one) { return one.name.substr(one.name.find('@') + 1) == name; });
  }
  if (host != hosts.end()) return *host;
  throw Refusal(Refusal::Code::kNotFound, ErrorReason::kHostNotFound,
                "there is no host " + quoted_text(name) + ": " + known_hosts_text(hosts));
}

}  // namespace

HostCalls::HostCalls(JobTable& table, AttemptSupervisor& supervisor)
    : table_(table), supervisor_(supervisor), requests_(table), tokens_(table.store().signing_key()) {}

HostView HostCalls::find(const std::string& name) const { return found_in(supervisor_.hosts(), name); }

// A host that has left the hostfile is not there any more once it is uncordoned.
v1::Host HostCalls::again(const std::string& name) const {
  try {
    return host_message(find(name));
  } catch (const Refusal&) {
    v1::Host gone;
    gone.set_name(name);
    return gone;
  }
}

v1::ListHostsResponse HostCalls::list(const v1::ListHostsRequest& request) {
  const int page_size = checked_page_size(request.page_size(), {.absent = 100, .largest = 1000});
  const auto first = static_cast<std::size_t>(tokens_.position(kHostList, request.page_token()).value_or(0));
  const std::vector<HostView> hosts = supervisor_.hosts();
  v1::ListHostsResponse response;
  std::size_t next = first;
  for (; next < hosts.size() && response.hosts_size() < page_size; ++next) {
    *response.add_hosts() = host_message(hosts[next]);
  }
  if (next < hosts.size()) response.set_next_page_token(tokens_.make(kHostList, static_cast<std::int64_t>(next)));
  return response;
}

v1::Host HostCalls::cordon(const v1::CordonHostRequest& request) {
  const auto asked = requests_.other("CordonHost", request);
  if (asked.is_answered) return again(request.name());
  const std::string reason = checked_reason(request.reason());
  const HostView host = find(request.name());
  HostCordon cordon{.cause = HostCordon::Cause::kOperator, .reason = reason, .since = table_.clock().wall()};
  const bool is_cordoned = host.cordon && host.cordon->cause == cordon.cause;
  if (is_cordoned) cordon.since = host.cordon->since;
  supervisor_.set_cordon(host.name, cordon, asked.to_keep);
  spdlog::warn("host {} is cordoned: {}; no attempt is placed there, and {} of its {} slots are in use", host.name,
               reason, host.used_slots, host.slots);
  return host_message(find(host.name));
}

v1::Host HostCalls::uncordon(const v1::UncordonHostRequest& request) {
  const auto asked = requests_.other("UncordonHost", request);
  if (asked.is_answered) return again(request.name());
  const HostView host = find(request.name());
  supervisor_.set_cordon(host.name, std::nullopt, asked.to_keep);
  if (host.cordon) {
    spdlog::info("host {} is not cordoned any more{}", host.name,
                 host.is_unanswering ? ", and is used once it answers" : "");
  }
  HostView after = host;
  after.cordon.reset();
  return host_message(after);
}

}  // namespace equipoise::coordinator
