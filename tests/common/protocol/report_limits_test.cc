#include "common/protocol/report_limits.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace report_limits_test {

TEST(ReportLimits, BoundStepsTimesGroups) {
  EXPECT_EQ(most_reported_steps(1), 65536u);
  EXPECT_EQ(most_reported_steps(16), 65536u);
  EXPECT_EQ(most_reported_steps(17), 61680u);
  EXPECT_EQ(most_reported_steps(4096), 256u);
  EXPECT_EQ(most_reported_steps(std::size_t{1} << 30), 1u);
}

}  // namespace report_limits_test
}  // namespace equipoise
