#include "common/base/split_mix64.h"

#include <gtest/gtest.h>

#include <array>

namespace equipoise {
namespace split_mix64_test {

// The published C code (https://prng.di.unimi.it/splitmix64.c) from state 1234567.
TEST(SplitMix64, GivesThePublishedNumbers) {
  SplitMix64 stream(1234567);
  for (const std::uint64_t expected : {6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL,
                                       4593380528125082431ULL, 16408922859458223821ULL}) {
    EXPECT_EQ(stream.next(), expected);
  }
}

TEST(SplitMix64, DrawsEveryNumberBelowABoundAboutEquallyOften) {
  SplitMix64 stream(1);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) ++counts.at(stream.below(counts.size()));
  // Standard deviation of a count is sqrt(70000 * 1/7 * 6/7) = 93; five of them.
  for (const int count : counts) EXPECT_NEAR(count, 10000, 465);
}

TEST(SplitMix64, StaysBelowOne) {
  SplitMix64 stream(2);
  for (int i = 0; i < 10000; ++i) {
    const double number = stream.uniform();
    EXPECT_GE(number, 0);
    EXPECT_LT(number, 1);
  }
}

}  // namespace split_mix64_test
}  // namespace equipoise
