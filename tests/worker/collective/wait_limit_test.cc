#include "worker/collective/wait_limit.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace wait_limit_test {

using namespace std::chrono_literals;
using Clock = WaitLimit::Clock;

constexpr Clock::time_point kBegin{1000s};

TEST(WaitLimit, CountsFromTheBeginningOfTheWait) {
  const WaitLimit limit(600s);
  EXPECT_FALSE(limit.is_over(kBegin, kBegin + 600s));
  EXPECT_TRUE(limit.is_over(kBegin, kBegin + 601s));
}

// Ranks gave up one that waited for a coordinator with a full disk after ten minutes.
TEST(WaitLimit, CountsFromTheNewestReasonToWait) {
  WaitReason reason;
  const WaitLimit limit(600s, &reason);
  EXPECT_TRUE(limit.is_over(kBegin, kBegin + 601s)) << "there was none yet";
  for (const auto waited : {1h, 2h, 3h}) {
    reason.renew(kBegin + waited);
    EXPECT_FALSE(limit.is_over(kBegin, kBegin + waited + 600s));
    EXPECT_TRUE(limit.is_over(kBegin, kBegin + waited + 601s));
  }
  const auto later = kBegin + 10h;
  EXPECT_FALSE(limit.is_over(later, later + 600s)) << "a reason before the wait began takes nothing from it";
}

}  // namespace wait_limit_test
}  // namespace equipoise
