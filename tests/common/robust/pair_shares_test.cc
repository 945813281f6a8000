#include "common/robust/pair_shares.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

namespace equipoise {
namespace pair_shares_test {

GroupShares split(std::vector<PairShare> shares) {
  GroupShares group;
  set_shares(std::move(shares), group);
  return group;
}

TEST(PairShares, AddUpToTheSumOfAll) {
  std::mt19937_64 random(5);
  std::lognormal_distribution<double> loss(-0.4, 1.0);
  for (const int pairs : {1, 7, 8, 9, 64, 4096}) {
    std::vector<PairShare> shares;
    double sum = 0;
    for (int i = 0; i < pairs; ++i) {
      shares.push_back({.file = 0, .row = i + 1, .share = loss(random)});
      sum += shares.back().share;
    }
    const GroupShares group = split(shares);
    double total = group.rest;
    for (const PairShare& pair : group.top) total += pair.share;
    EXPECT_NEAR(total, sum, 1e-12 * sum) << pairs;
    EXPECT_EQ(group.pairs, pairs);
    EXPECT_EQ(group.top.size(), std::min<std::size_t>(kTopPairs, static_cast<std::size_t>(pairs)));
    for (std::size_t i = 1; i < group.top.size(); ++i) EXPECT_GE(group.top[i - 1].share, group.top[i].share);
  }
}

TEST(PairShares, NamesTheLargestBySizeAndOfEqualOnesTheFirst) {
  std::vector<PairShare> shares;
  for (int i = 0; i < 10; ++i) shares.push_back({.file = 1, .row = 10 - i, .share = 0.5});
  shares.push_back({.file = 0, .row = 90, .share = -3});
  shares.push_back({.file = 2, .row = 1, .share = 2});
  const GroupShares group = split(shares);
  ASSERT_EQ(group.top.size(), kTopPairs);
  EXPECT_EQ(group.top[0].share, -3);
  EXPECT_EQ(group.top[1].file, 2u);
  for (std::size_t i = 2; i < kTopPairs; ++i) EXPECT_EQ(group.top[i].row, static_cast<std::int64_t>(i) - 1);
  EXPECT_EQ(group.rest, 4 * 0.5);
}

TEST(PairShares, DoesNotDependOnTheOrderThatRanksGaveThemIn) {
  std::mt19937_64 random(9);
  std::uniform_real_distribution<double> loss(-1.0, 3.0);
  std::vector<PairShare> shares;
  // A batch may have a pair several times.
  for (int i = 0; i < 100; ++i) shares.push_back({.file = 0, .row = 1 + i / 3, .share = loss(random)});
  const GroupShares first = split(shares);
  for (int again = 0; again < 20; ++again) {
    std::shuffle(shares.begin(), shares.end(), random);
    const GroupShares other = split(shares);
    EXPECT_EQ(other.rest, first.rest);
    for (std::size_t i = 0; i < kTopPairs; ++i) {
      EXPECT_EQ(other.top[i].row, first.top[i].row);
      EXPECT_EQ(other.top[i].share, first.top[i].share);
    }
  }
}

TEST(PairShares, PutsWhatIsNotFiniteFirst) {
  std::vector<PairShare> shares;
  for (int i = 0; i < 20; ++i) shares.push_back({.file = 0, .row = i + 1, .share = 1e300});
  shares.push_back({.file = 0, .row = 21, .share = std::numeric_limits<double>::quiet_NaN()});
  shares.push_back({.file = 0, .row = 22, .share = -std::numeric_limits<double>::infinity()});
  const GroupShares group = split(shares);
  EXPECT_EQ(group.top[0].row, 21);
  EXPECT_EQ(group.top[1].row, 22);
  EXPECT_EQ(group.top[2].row, 1);
}

}  // namespace pair_shares_test
}  // namespace equipoise
