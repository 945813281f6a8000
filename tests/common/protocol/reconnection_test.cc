#include "common/protocol/reconnection.h"

#include <gtest/gtest.h>

#include <cstdlib>

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

}  // namespace reconnection_test
}  // namespace equipoise
