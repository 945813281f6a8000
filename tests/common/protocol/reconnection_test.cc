#include "common/protocol/reconnection.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "common/protocol/error_reason.h"

namespace equipoise {
namespace reconnection_test {

constexpr const char* kInterval = "GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS";

TEST(Reconnection, IsLookedAfterTenTimesASecond) {
  unsetenv(kInterval);
  find_coordinators_again_soon();
  EXPECT_STREQ(std::getenv(kInterval), "100");
}

TEST(Reconnection, LeavesWhatTheEnvironmentSays) {
  setenv(kInterval, "250", 1);
  find_coordinators_again_soon();
  EXPECT_STREQ(std::getenv(kInterval), "250");
  unsetenv(kInterval);
}

TEST(Reconnection, ACallWithoutAnAnswerWasCutOff) {
  constexpr int kOk = 0, kCancelled = 1, kUnknown = 2, kNotFound = 5, kInternal = 13, kUnavailable = 14;
  const std::string details = error_details({.code = kCancelled, .message = "no"}, ErrorReason::kJobCancelled);
  EXPECT_TRUE(was_cut_off(kUnavailable, details));
  for (const int code : {kCancelled, kUnknown, kInternal}) {
    EXPECT_TRUE(was_cut_off(code, "")) << code;
    EXPECT_FALSE(was_cut_off(code, details)) << code;
  }
  EXPECT_FALSE(was_cut_off(kOk, ""));
  EXPECT_FALSE(was_cut_off(kNotFound, ""));
}

}  // namespace reconnection_test
}  // namespace equipoise
