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
  const std::string details = error_details({.code = 1, .message = "no"}, ErrorReason::kJobCancelled);
  EXPECT_TRUE(was_cut_off({grpc::StatusCode::UNAVAILABLE, "", details}));
  for (const auto code : {grpc::StatusCode::CANCELLED, grpc::StatusCode::UNKNOWN, grpc::StatusCode::INTERNAL}) {
    EXPECT_TRUE(was_cut_off({code, ""})) << code;
    EXPECT_FALSE(was_cut_off({code, "", details})) << code;
  }
  EXPECT_FALSE(was_cut_off(grpc::Status()));
  EXPECT_FALSE(was_cut_off({grpc::StatusCode::NOT_FOUND, ""}));
}

}  // namespace reconnection_test
}  // namespace equipoise
