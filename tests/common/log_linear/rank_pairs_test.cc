#include "common/log_linear/rank_pairs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace equipoise::log_linear {
namespace rank_pairs_test {

// Groups of 1, 3 and 6 pairs, mixed.
const PairMatrix kMatrix{3, 1, std::vector<double>(10, 1.0), {2, 1, 2, 0, 2, 1, 2, 2, 1, 2}};

TEST(GroupSampler, DrawsTheBatchFromOneGroup) {
  const GroupSampler sampler(kMatrix, 1);
  std::vector<std::int64_t> pairs;
  for (std::int64_t step = 0; step < 100; ++step) {
    sampler.sample(step, 5, pairs);
    std::set<std::uint32_t> groups;
    for (const std::int64_t pair : pairs) groups.insert(kMatrix.group_N[static_cast<std::size_t>(pair)]);
    EXPECT_EQ(pairs.size(), 5u);
    EXPECT_EQ(groups.size(), 1u);
  }
}

TEST(GroupSampler, DrawsEveryPairEquallyOftenOneAtATime) {
  constexpr int kDraws = 20000;
  const GroupSampler sampler(kMatrix, 1);
  std::vector<int> drawn_N(10);
  std::vector<std::int64_t> pairs;
  for (std::int64_t step = 0; step < kDraws; ++step) {
    sampler.sample(step, 1, pairs);
    ++drawn_N[static_cast<std::size_t>(pairs[0])];
  }
  const double deviation = std::sqrt(kDraws * 0.1 * 0.9);
  for (const int drawn : drawn_N) EXPECT_NEAR(drawn, kDraws * 0.1, 5 * deviation);
}

TEST(GroupSampler, IsAFunctionOfSeedAndStep) {
  std::vector<std::int64_t> first, again, other;
  bool differs = false;
  for (const std::int64_t step : {9, 3, 4}) {
    GroupSampler(kMatrix, 1).sample(step, 4, first);
    GroupSampler(kMatrix, 1).sample(step, 4, again);
    GroupSampler(kMatrix, 2).sample(step, 4, other);
    EXPECT_EQ(first, again);
    differs = differs || first != other;
  }
  EXPECT_TRUE(differs);
}

}  // namespace rank_pairs_test
}  // namespace equipoise::log_linear
