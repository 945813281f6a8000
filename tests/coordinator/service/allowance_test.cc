#include "coordinator/service/allowance.h"

#include <gtest/gtest.h>

#include <string>

namespace equipoise::coordinator {
namespace allowance_test {

using namespace std::chrono_literals;

TEST(AllowanceUse, IsRefilledInTime) {
  constexpr Allowance kTen{.burst = 10, .per_second = 2};
  AllowanceUse use;
  AllowanceUse::Time now{1000s};
  EXPECT_TRUE(use.take(10, kTen, now));
  EXPECT_FALSE(use.take(1, kTen, now));
  now += 2s;
  EXPECT_TRUE(use.take(4, kTen, now));
  EXPECT_FALSE(use.take(1, kTen, now));
  EXPECT_EQ(use.used(kTen, now + 5s), 0);
}

TEST(AddressAllowances, GiveEachItsMeanHoweverOftenItAsks) {
  AddressAllowances allowances({.burst = 3, .per_second = 2});
  AllowanceUse::Time now{1000s};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(allowances.take("10.0.0.1", now)) << i;
  EXPECT_FALSE(allowances.take("10.0.0.1", now));
  EXPECT_TRUE(allowances.take("10.0.0.2", now)) << "it has its own";
  int taken = 0;
  for (int i = 0; i < 5000; ++i) {
    now += 1ms;
    if (allowances.take("10.0.0.1", now)) ++taken;
  }
  EXPECT_NEAR(taken, 10, 1) << "of 5 seconds";
}

}  // namespace allowance_test
}  // namespace equipoise::coordinator
