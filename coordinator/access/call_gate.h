// Lets calls in: who calls, whether they may, and whether they ask for too much at once. Every call of both services
// comes through here before anything is looked at.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coordinator/access/call_rules.h"
#include "coordinator/access/principal.h"
#include "coordinator/access/principal_limits.h"
#include "coordinator/access/token_file.h"
#include "coordinator/lifecycle/clock.h"

namespace equipoise::coordinator {

struct AccessSettings {
  std::optional<std::filesystem::path> tokens;  // none: everybody who reaches the service may do everything
  CallLimits limits;                            // of each caller, where there are tokens
  bool has_open_health = false;                 // whether the service serves is told to everybody
};

// What came with a call, as it came.
struct CallCredentials {
  std::vector<std::string_view> authorization;  // every value of that name: more than one is none
  bool has_attempt_token = false;
  std::string peer;  // "ipv4:10.0.0.7:5120", for the log
};

// A call that was let in; it counts among its caller's until this ends.
class AdmittedCall {
 public:
  enum class Caller {
    kKnown,     // as a user, or because the service asks nobody
    kStranger,  // a rank that has shown no token of a user: only that of its attempt may let it do anything
  };
  AdmittedCall(Caller caller, CallKind kind) : caller_(caller), kind_(kind) {}
  // `limits` has counted it, under `name`, and outlives it.
  AdmittedCall(PrincipalLimits& limits, std::string name, CallKind kind)
      : caller_(Caller::kKnown), kind_(kind), limits_(&limits), name_(std::move(name)) {}
  ~AdmittedCall() {
    if (limits_ != nullptr) limits_->leave(name_, kind_);
  }
  AdmittedCall(const AdmittedCall&) = delete;
  AdmittedCall& operator=(const AdmittedCall&) = delete;

  bool is_of_stranger() const { return caller_ == Caller::kStranger; }
  // Of the caller's token; empty where it has shown none.
  const std::string& name() const { return name_; }

 private:
  const Caller caller_;
  const CallKind kind_;
  PrincipalLimits* const limits_ = nullptr;  // null: not counted
  const std::string name_;
};

// May be used from any thread.
class CallGate {
 public:
  // `clock` outlives it. Throws std::invalid_argument as TokenFile does.
  CallGate(const AccessSettings& settings, const Clock& clock);

  // Throws Refusal: kUnauthenticated without a token that is known, kPermissionDenied where the caller's role is too
  // low or the call is in no rule, kResourceExhausted at a limit. `method` as in CallRule.
  std::shared_ptr<const AdmittedCall> admit(std::string_view method, const CallCredentials& credentials);

 private:
  std::optional<Principal> caller_of(const CallCredentials& credentials);
  void note_refusal(std::string_view method, const std::string& peer);

  const bool has_open_health_;
  std::unique_ptr<TokenFile> tokens_;  // null: none are needed
  PrincipalLimits limits_;
  const Clock& clock_;
  std::mutex mutex_;                   // guards all below
  std::optional<SteadyTime> said_at_;  // when the log last told of calls without a token
  std::uint64_t refused_since_ = 0;
};

}  // namespace equipoise::coordinator
