#include "common/dataset/strata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/refusal.h"

namespace equipoise {
namespace strata_test {

using testing::ElementsAre;
using testing::HasSubstr;
using Pairs = std::vector<std::vector<Membership>>;

std::vector<std::uint32_t> smallest(const Pairs& pairs, std::size_t num_groups) {
  std::vector<std::span<const Membership>> memberships;
  for (const auto& pair : pairs) memberships.emplace_back(pair);
  return smallest_groups(memberships, num_groups);
}

std::string refusal(const std::map<std::string, double>& shares) {
  return refusal_of([&] { make_strata({1, 1, 2}, {"Asia", "Asia/India", "Asia/Japan"}, shares); });
}

TEST(Strata, OfAPairInOneGroupIsThatGroup) {
  EXPECT_THAT(smallest({{{0, 1}}, {{2, 1}}, {{0, 0.5}}}, 3), ElementsAre(0, 2, 0));
}

TEST(Strata, OfAPairInSeveralGroupsIsTheSmallest) {
  // Sizes 3, 2 and 1.
  EXPECT_THAT(smallest({{{0, 1}, {1, 1}}, {{0, 1}}, {{0, 1}, {2, 1}}, {{1, 1}}}, 3), ElementsAre(1, 0, 2, 1));
}

TEST(Strata, SizesAreSumsOfMemberships) {
  // 1.5 against 1.25.
  EXPECT_THAT(smallest({{{0, 1}, {1, 0.25}}, {{0, 0.5}}, {{1, 1}}}, 2), ElementsAre(1, 0, 1));
}

TEST(Strata, OfEqualGroupsTheLowerLevelIsTaken) {
  EXPECT_THAT(smallest({{{0, 1}, {1, 1}}, {{0, 1}, {1, 1}}}, 2), ElementsAre(1, 1));
}

TEST(Strata, HaveEqualSharesUnlessTold) {
  EXPECT_THAT(make_strata({1, 1, 2}, {"Asia", "Asia/India", "Asia/Japan"}, {}).share_K, ElementsAre(0, 0.5, 0.5));
}

TEST(Strata, HaveTheSharesGivenNormalised) {
  const auto strata =
      make_strata({1, 1, 2}, {"Asia", "Asia/India", "Asia/Japan"}, {{"Asia/India", 3}, {"Asia/Japan", 1}});
  EXPECT_THAT(strata.share_K, ElementsAre(0, 0.75, 0.25));
}

TEST(Strata, RefuseSharesThatAreNotThoseOfTheData) {
  EXPECT_THAT(refusal({{"Asia/India", 1}}), HasSubstr("has no share for group \"Asia/Japan\""));
  EXPECT_THAT(refusal({{"Asia/India", 1}, {"Asia/Japan", 1}, {"Asia", 1}}),
              HasSubstr("names group \"Asia\", but each"));
  EXPECT_THAT(refusal({{"Asia/India", 1}, {"Asia/Japan", 1}, {"Mars", 1}}), HasSubstr("names group \"Mars\", which"));
}

}  // namespace strata_test
}  // namespace equipoise
