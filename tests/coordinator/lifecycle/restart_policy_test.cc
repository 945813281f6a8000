#include "coordinator/lifecycle/restart_policy.h"

#include <gtest/gtest.h>

namespace equipoise::coordinator {
namespace restart_policy_test {

using Failures = std::vector<AttemptFailure>;

AttemptFailure of_job(const std::string& cause, std::int64_t step) {
  return {.cause = cause, .step = step, .is_of_the_job = true};
}

TEST(RestartDelay, DoublesUpToAMinute) {
  EXPECT_EQ(restart_delay({}).count(), 0);
  const int expected[] = {1, 2, 4, 8, 16, 32, 60, 60};
  Failures failures;
  for (const int seconds : expected) {
    failures.push_back({.cause = "gone"});
    EXPECT_EQ(restart_delay(failures).count(), seconds);
  }
  failures.resize(1000);
  EXPECT_EQ(restart_delay(failures).count(), 60);
}

TEST(CrashLoop, IsTheSameFailureAtTheSameStepTwiceInARow) {
  const AttemptFailure one = of_job("rank 1: no", 7);
  EXPECT_FALSE(is_crash_loop({one}));
  EXPECT_TRUE(is_crash_loop({one, one}));
  EXPECT_TRUE(is_crash_loop({of_job("rank 0: other", 3), one, one}));
  EXPECT_FALSE(is_crash_loop({one, of_job("rank 1: no", 8)})) << "it came further";
  EXPECT_FALSE(is_crash_loop({one, of_job("rank 2: no", 7)})) << "another rank";
  EXPECT_FALSE(is_crash_loop({one, of_job("rank 0: other", 7), one})) << "not in a row";
  EXPECT_FALSE(is_crash_loop({one, {.cause = "rank 1: no", .step = 7}})) << "from outside";
}

TEST(CrashLoop, IsAlsoTwoCrashesAtOneStepWhateverTheySay) {
  const auto crash = [](const char* cause, std::int64_t step) {
    return AttemptFailure{.cause = cause, .step = step, .is_crash = true};
  };
  EXPECT_TRUE(is_crash_loop({crash("signal 6 of rank 1", 7), crash("signal 11 of rank 0", 7)}));
  EXPECT_FALSE(is_crash_loop({crash("signal 6 of rank 1", 7), crash("signal 6 of rank 1", 8)}));
  EXPECT_FALSE(is_crash_loop({crash("signal 6 of rank 1", 7), {.cause = "killed", .step = 7}}));
}

TEST(CrashLoop, SignalsFromOutsideAreNoCrashes) {
  for (const int crash : {4, 5, 6, 7, 8, 11, 31}) EXPECT_TRUE(is_crash_signal(crash)) << crash;
  for (const int other : {-127, 0, 1, 2, 9, 13, 15, 64}) EXPECT_FALSE(is_crash_signal(other)) << other;
}

TEST(CrashLoop, DoesNotLookAtProcessIds) {
  const auto with = [](const char* id) { return of_job(std::string("rank 1 with PID ") + id + " on node1 ended", 7); };
  EXPECT_TRUE(is_crash_loop({with("17"), with("4711")}));
  EXPECT_TRUE(is_crash_loop({with(""), with("4711")}));
  EXPECT_FALSE(is_crash_loop({of_job("step 1", 7), of_job("step 2", 7)}));
}

TEST(CausesBeforeLast, AreToldNewestFirst) {
  EXPECT_EQ(causes_before_last({{.cause = "a"}}), "");
  EXPECT_EQ(causes_before_last({{.cause = "a"}, {.cause = "b"}, {.cause = "c"}}), "; before: b; a");
  EXPECT_EQ(causes_before_last({{.cause = "a"}, {.cause = "b"}, {.cause = "b"}}), "; before: the same; a");
  Failures many;
  for (const char* cause : {"a", "b", "c", "d", "e", "f", "g"}) many.push_back({.cause = cause});
  EXPECT_EQ(causes_before_last(many), "; before: f; e; d; c; and 2 more");
}

}  // namespace restart_policy_test
}  // namespace equipoise::coordinator
