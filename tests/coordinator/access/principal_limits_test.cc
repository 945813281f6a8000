#include "coordinator/access/principal_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "coordinator/job/refusal.h"
#include "tests/coordinator/support/fake_clock.h"

namespace equipoise::coordinator {
namespace principal_limits_test {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// Empty: it was let in.
std::string refusal_to_enter(PrincipalLimits& limits, const std::string& name, CallKind kind) {
  try {
    limits.enter(name, kind);
  } catch (const Refusal& refusal) {
    EXPECT_EQ(refusal.code(), Refusal::Code::kResourceExhausted);
    return refusal.what();
  }
  return "";
}

TEST(PrincipalLimits, BoundWhatOneCallerHasAtOnceAndNotTheOthers) {
  const FakeClock clock;
  PrincipalLimits limits({.answers_at_once = 2, .streams_at_once = 1, .calls_per_second = 1, .calls_in_a_burst = 100},
                         clock);
  EXPECT_EQ(refusal_to_enter(limits, "alice", CallKind::kAnswer), "");
  EXPECT_EQ(refusal_to_enter(limits, "alice", CallKind::kAnswer), "");
  EXPECT_THAT(refusal_to_enter(limits, "alice", CallKind::kAnswer), HasSubstr("alice has 2 calls at once"));
  EXPECT_EQ(refusal_to_enter(limits, "alice", CallKind::kStream), "");
  EXPECT_THAT(refusal_to_enter(limits, "alice", CallKind::kStream), HasSubstr("alice has 1 watchers at once"));
  EXPECT_EQ(refusal_to_enter(limits, "bob", CallKind::kAnswer), "");
  limits.leave("alice", CallKind::kAnswer);
  limits.leave("alice", CallKind::kStream);
  EXPECT_EQ(refusal_to_enter(limits, "alice", CallKind::kAnswer), "");
  EXPECT_EQ(refusal_to_enter(limits, "alice", CallKind::kStream), "");
}

TEST(PrincipalLimits, BoundTheRateAndSayWhenThereIsRoom) {
  FakeClock clock;
  PrincipalLimits limits({.answers_at_once = 100, .streams_at_once = 1, .calls_per_second = 4, .calls_in_a_burst = 3},
                         clock);
  const auto call = [&] {
    std::string refusal = refusal_to_enter(limits, "alice", CallKind::kAnswer);
    if (refusal.empty()) limits.leave("alice", CallKind::kAnswer);
    return refusal;
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(call(), "");
  EXPECT_THAT(call(), HasSubstr("more than 4 calls a second; try again in 250 ms"));
  clock.advance(100ms);
  EXPECT_THAT(call(), HasSubstr("try again in 150 ms"));
  clock.advance(150ms);
  EXPECT_EQ(call(), "");
  EXPECT_NE(call(), "");
  clock.advance(24h);  // the burst and no more
  for (int i = 0; i < 3; ++i) EXPECT_EQ(call(), "");
  EXPECT_NE(call(), "");
}

// Names may be addresses, of which anybody has as many as they like.
TEST(PrincipalLimits, ForgetNobodyWhoHasSomethingUnderWayOrHasAskedForMuch) {
  FakeClock clock;
  PrincipalLimits limits({.answers_at_once = 1, .streams_at_once = 1, .calls_per_second = 1, .calls_in_a_burst = 2},
                         clock);
  EXPECT_EQ(refusal_to_enter(limits, "busy", CallKind::kAnswer), "");
  const auto pass_by = [&](const std::string& name) {
    EXPECT_EQ(refusal_to_enter(limits, name, CallKind::kAnswer), "");
    limits.leave(name, CallKind::kAnswer);
  };
  const auto crowd = [&](const std::string& prefix) {
    for (int i = 0; i < 3000; ++i) pass_by(prefix + std::to_string(i));
  };
  crowd("first");
  clock.advance(24h);
  pass_by("greedy");
  pass_by("greedy");
  crowd("second");
  EXPECT_THAT(refusal_to_enter(limits, "busy", CallKind::kAnswer), HasSubstr("has 1 calls at once"));
  EXPECT_THAT(refusal_to_enter(limits, "greedy", CallKind::kAnswer), HasSubstr("more than 1 calls a second"));
  EXPECT_LT(limits.names(), 5000U) << "those of the first crowd are gone";
}

}  // namespace principal_limits_test
}  // namespace equipoise::coordinator
