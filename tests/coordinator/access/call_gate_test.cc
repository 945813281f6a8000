#include "coordinator/access/call_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/secret_file.h"
#include "common/base/service_access.h"
#include "coordinator/access/call_rules.h"
#include "coordinator/job/refusal.h"
#include "equipoise/v1/host.pb.h"
#include "equipoise/v1/training.pb.h"
#include "equipoise/v1/worker.pb.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "tests/coordinator/support/fake_clock.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace call_gate_test {

// All calls of the protocol, as rules name them.
std::set<std::string> calls_of_protocol() {
  std::set<std::string> calls;
  for (const google::protobuf::FileDescriptor* const file :
       {v1::TrainingJob::descriptor()->file(), v1::Host::descriptor()->file(),
        v1::RegisterWorkerRequest::descriptor()->file(), grpc::health::v1::HealthCheckRequest::descriptor()->file(),
        grpc::reflection::v1alpha::ServerReflectionRequest::descriptor()->file()}) {
    for (int i = 0; i < file->service_count(); ++i) {
      const google::protobuf::ServiceDescriptor& service = *file->service(i);
      for (int m = 0; m < service.method_count(); ++m) calls.insert(service.name() + "/" + service.method(m)->name());
    }
  }
  return calls;
}

TEST(CallRules, EveryCallOfTheProtocolHasOneRule) {
  std::set<std::string> ruled;
  for (const CallRule& rule : call_rules()) EXPECT_TRUE(ruled.emplace(rule.method).second) << rule.method;
  EXPECT_EQ(ruled, calls_of_protocol());
}

TEST(CallRules, NothingThatChangesAnythingIsForViewersOrForRanksAlone) {
  for (const CallRule& rule : call_rules()) {
    const std::string name(rule.method.substr(rule.method.find('/') + 1));
    const bool is_standard = rule.method.starts_with("Health/") || rule.method.starts_with("ServerReflection/");
    const bool reads = is_standard || name.starts_with("Get") || name.starts_with("List") || name.starts_with("Watch");
    const bool is_of_rank = rule.method.starts_with("WorkerService/");
    EXPECT_EQ(rule.least == Role::kViewer, reads && !is_of_rank) << rule.method;
    EXPECT_EQ(rule.kind == CallKind::kRank, is_of_rank) << rule.method;
    const bool is_stream = name.starts_with("Watch") || name == "ServerReflectionInfo";
    EXPECT_EQ(rule.kind == CallKind::kStream, is_stream) << rule.method;
  }
}

class CallGateTest : public ::testing::Test {
 protected:
  CallGateTest() {
    std::string lines;
    for (const char* const role : {"viewer", "operator", "admin"}) {
      lines += token_line({.role = role, .name = std::string("a-") + role}, token(role));
    }
    write_secret_file(folder_ / "tokens", lines);
    settings_.tokens = folder_ / "tokens";
  }
  static std::string token(const std::string& role) { return "the-long-token-of-" + role; }
  // nullopt: it was let in.
  static std::optional<Refusal::Code> refusal_at(CallGate& gate, std::string_view method,
                                                 const std::vector<std::string>& authorization,
                                                 bool has_attempt_token = false) {
    CallCredentials credentials{.authorization = {}, .has_attempt_token = has_attempt_token, .peer = "ipv4:10.0.0.7:9"};
    for (const std::string& value : authorization) credentials.authorization.emplace_back(value);
    try {
      gate.admit(method, credentials);
    } catch (const Refusal& refusal) {
      for (const char* const role : {"viewer", "operator", "admin"}) {
        EXPECT_EQ(std::string(refusal.what()).find(token(role)), std::string::npos);
      }
      return refusal.code();
    }
    return std::nullopt;
  }
  FakeClock clock_;
  TempFolder folder_;
  AccessSettings settings_;
};

TEST_F(CallGateTest, EveryCallNeedsATokenOfItsRole) {
  CallGate gate(settings_, clock_);
  for (const CallRule& rule : call_rules()) {
    for (const Role role : {Role::kViewer, Role::kOperator, Role::kAdmin}) {
      const auto refusal = refusal_at(gate, rule.method, {"Bearer " + token(std::string(role_name(role)))});
      if (role < rule.least) {
        EXPECT_EQ(refusal, Refusal::Code::kPermissionDenied) << rule.method << " " << role_name(role);
      } else {
        EXPECT_EQ(refusal, std::nullopt) << rule.method << " " << role_name(role);
      }
    }
    const std::vector<std::vector<std::string>> nobody = {
        {},
        {""},
        {"Bearer "},
        {"Bearer wrong"},
        {"Bearer  " + token("admin")},
        {"bearer " + token("admin")},
        {token("admin")},
        {"Basic " + token("admin")},
        {"Bearer " + token("admin"), "Bearer " + token("admin")},
    };
    for (const auto& authorization : nobody) {
      EXPECT_EQ(refusal_at(gate, rule.method, authorization), Refusal::Code::kUnauthenticated) << rule.method;
    }
  }
}

TEST_F(CallGateTest, TheTokenOfAnAttemptIsLookedAtForCallsOfRanksAlone) {
  CallGate gate(settings_, clock_);
  for (const CallRule& rule : call_rules()) {
    const auto refusal = refusal_at(gate, rule.method, {}, /*has_attempt_token=*/true);
    if (rule.kind != CallKind::kRank) {
      EXPECT_EQ(refusal, Refusal::Code::kUnauthenticated) << rule.method;
      continue;
    }
    EXPECT_EQ(refusal, std::nullopt) << rule.method;
    EXPECT_TRUE(
        gate.admit(rule.method, {.authorization = {}, .has_attempt_token = true, .peer = ""})->is_of_stranger());
    // A wrong token of a user is not made good by one of an attempt.
    EXPECT_EQ(refusal_at(gate, rule.method, {"Bearer wrong"}, true), Refusal::Code::kUnauthenticated) << rule.method;
  }
}

TEST_F(CallGateTest, ACallWithoutARuleIsRefusedToEverybody) {
  CallGate gate(settings_, clock_), open({}, clock_);
  for (const char* const method : {"TrainingJobService/Unheard", "", "GetTrainingJob", "Other/GetTrainingJob"}) {
    EXPECT_EQ(refusal_at(gate, method, {"Bearer " + token("admin")}), Refusal::Code::kPermissionDenied) << method;
    EXPECT_EQ(refusal_at(open, method, {}), Refusal::Code::kPermissionDenied) << method;
  }
}

TEST_F(CallGateTest, WithoutTokensEverybodyMayDoEverything) {
  CallGate gate({}, clock_);
  for (const CallRule& rule : call_rules()) EXPECT_EQ(refusal_at(gate, rule.method, {}), std::nullopt) << rule.method;
}

TEST_F(CallGateTest, ACallCountsUntilItHasEnded) {
  settings_.limits.streams_at_once = 1;
  CallGate gate(settings_, clock_);
  const std::string watch = "TrainingJobService/WatchTrainingJob";
  const std::string value = "Bearer " + token("viewer");
  auto first = gate.admit(watch, {.authorization = {value}, .has_attempt_token = false, .peer = ""});
  EXPECT_EQ(refusal_at(gate, watch, {value}), Refusal::Code::kResourceExhausted);
  EXPECT_EQ(refusal_at(gate, watch, {"Bearer " + token("admin")}), std::nullopt);
  first.reset();
  EXPECT_EQ(refusal_at(gate, watch, {value}), std::nullopt);
}

}  // namespace call_gate_test
}  // namespace equipoise::coordinator
