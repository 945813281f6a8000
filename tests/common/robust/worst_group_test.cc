#include "common/robust/worst_group.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace equipoise {
namespace worst_group_test {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(WorseLoss, PutsNaNAboveInfinityAndInfinityAboveNumbers) {
  const std::vector<double> from_best = {-kInfinity, -1e300, -1, 0, 1, 1e300, kInfinity, kNaN};
  for (std::size_t i = 0; i < from_best.size(); ++i) {
    for (std::size_t j = 0; j < from_best.size(); ++j) {
      EXPECT_EQ(worse_loss(from_best[i], from_best[j]), i > j) << from_best[i] << " " << from_best[j];
    }
  }
}

TEST(WorstGroup, IsNaNWhereverItStands) {
  EXPECT_EQ(worst_group(std::vector<double>{kNaN, 9, kInfinity}), 0u);
  EXPECT_EQ(worst_group(std::vector<double>{9, kNaN, kInfinity}), 1u);
  EXPECT_EQ(worst_group(std::vector<double>{9, kInfinity, kNaN}), 2u);
  EXPECT_TRUE(std::isnan(worst_group_loss(std::vector<double>{9, kNaN})));
}

TEST(WorstGroup, IsTheFirstOfEqualOnes) {
  EXPECT_EQ(worst_group(std::vector<double>{1, 2, 2}), 1u);
  EXPECT_EQ(worst_group(std::vector<double>{kNaN, 1, kNaN}), 0u);
  EXPECT_EQ(worst_group(std::vector<double>{kInfinity, kInfinity}), 0u);
  EXPECT_EQ(worst_group(std::vector<double>{-kInfinity, -kInfinity}), 0u);
}

TEST(WorstGroup, MayHaveANegativeLoss) { EXPECT_EQ(worst_group_loss(std::vector<double>{-3, -2, -kInfinity}), -2); }

TEST(WorstGroup, NeedsAGroup) {
  EXPECT_THROW(worst_group(std::vector<double>{}), std::invalid_argument);
  EXPECT_THROW(worst_group_loss(std::vector<double>{}), std::invalid_argument);
}

std::string worst_name(const std::map<std::string, std::optional<double>>& groups) {
  const auto worst = worst_group(groups, [](const auto& group) { return group.second; });
  return worst == groups.end() ? "none" : worst->first;
}

TEST(WorstGroup, LeavesOutGroupsWithoutALoss) {
  EXPECT_EQ(worst_name({{"a", std::nullopt}, {"b", -5}, {"c", std::nullopt}, {"d", -6}}), "b");
  EXPECT_EQ(worst_name({{"a", std::nullopt}, {"b", 7}, {"c", kNaN}}), "c");
  EXPECT_EQ(worst_name({{"a", std::nullopt}, {"b", -kInfinity}}), "b");
  EXPECT_EQ(worst_name({{"a", std::nullopt}}), "none");
  EXPECT_EQ(worst_name({}), "none");
}

TEST(WorstMeanLoss, IsThatOfTheStepsGroups) {
  EXPECT_EQ(worst_mean_loss(std::vector<double>{4, -3}, std::vector<double>{8, 1}), 0.5);
  EXPECT_EQ(worst_mean_loss(std::vector<double>{-4, -3}, std::vector<double>{8, 1}), -0.5);
  EXPECT_TRUE(std::isnan(worst_mean_loss(std::vector<double>{kNaN, 3}, std::vector<double>{8, 1}).value()));
  EXPECT_EQ(worst_mean_loss({}, {}), std::nullopt);
}

}  // namespace worst_group_test
}  // namespace equipoise
