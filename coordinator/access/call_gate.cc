#include "coordinator/access/call_gate.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "common/base/service_access.h"
#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {
namespace {

// Whoever tries many tokens does not fill the disk with it.
constexpr std::chrono::seconds kBetweenLines{10};

constexpr std::string_view kHealth = "Health/";

[[noreturn]] void refuse_caller(const std::string& why) {
  throw Refusal(Refusal::Code::kUnauthenticated, why + "; --token-file FILE or EQUIPOISE_TOKEN_FILE names your token");
}

}  // namespace

CallGate::CallGate(const AccessSettings& settings, const Clock& clock)
    : has_open_health_(settings.has_open_health), limits_(settings.limits, clock), clock_(clock) {
  if (settings.tokens) tokens_ = std::make_unique<TokenFile>(*settings.tokens);
}

// Nobody where there is no token; throws for one that is not known.
std::optional<Principal> CallGate::caller_of(const CallCredentials& credentials) {
  if (credentials.authorization.empty()) return std::nullopt;
  const std::string_view value = credentials.authorization.front();
  const bool is_one = credentials.authorization.size() == 1 && value.starts_with(kBearer);
  std::optional<Principal> caller =
      is_one ? tokens_->principal_of(value.substr(std::string_view(kBearer).size())) : std::nullopt;
  if (!caller) refuse_caller("this service does not know the token");
  return caller;
}

void CallGate::note_refusal(std::string_view method, const std::string& peer) {
  const std::lock_guard lock(mutex_);
  ++refused_since_;
  const SteadyTime now = clock_.now();
  if (said_at_ && now - *said_at_ < kBetweenLines) return;
  said_at_ = now;
  spdlog::warn("refused {} calls without a valid token, the newest of {} from {}", std::exchange(refused_since_, 0),
               method, peer);
}

std::shared_ptr<const AdmittedCall> CallGate::admit(std::string_view method, const CallCredentials& credentials) {
  const CallRule* const rule = rule_of(method);
  if (rule == nullptr) {
    throw Refusal(Refusal::Code::kPermissionDenied, ErrorReason::kRoleTooLow,
                  "no rule of this service allows " + std::string(method));
  }
  const bool is_open = !tokens_ || (has_open_health_ && method.starts_with(kHealth));
  if (is_open) return std::make_shared<AdmittedCall>(AdmittedCall::Caller::kKnown, rule->kind);
  try {
    const std::optional<Principal> caller = caller_of(credentials);
    if (!caller && rule->kind == CallKind::kRank && credentials.has_attempt_token) {
      return std::make_shared<AdmittedCall>(AdmittedCall::Caller::kStranger, rule->kind);
    }
    if (!caller) refuse_caller("this service wants a token with every call");
    if (caller->role < rule->least) {
      throw Refusal(Refusal::Code::kPermissionDenied, ErrorReason::kRoleTooLow,
                    caller->name + " is " + std::string(role_name(caller->role)) + ", expected " +
                        std::string(role_name(rule->least)) + " for " + std::string(method));
    }
    // Ranks report as often as they step; how many there are is bounded by the jobs.
    if (rule->kind == CallKind::kRank) {
      return std::make_shared<AdmittedCall>(AdmittedCall::Caller::kKnown, rule->kind);
    }
    limits_.enter(caller->name, rule->kind);
    if (rule->least > Role::kViewer) {
      spdlog::info("{} ({}) at {}: {}", caller->name, role_name(caller->role), credentials.peer, method);
    }
    return std::make_shared<AdmittedCall>(limits_, caller->name, rule->kind);
  } catch (const Refusal& refusal) {
    if (refusal.code() == Refusal::Code::kUnauthenticated) note_refusal(method, credentials.peer);
    throw;
  }
}

}  // namespace equipoise::coordinator
