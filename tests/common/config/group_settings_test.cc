#include "common/config/group_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/refusal.h"

namespace equipoise {
namespace group_settings_test {

using testing::ElementsAre;

RobustConfig with_weights(const std::map<std::string, double>& importance_weights) {
  RobustConfig config;
  config.importance_weights = importance_weights;
  return config;
}

std::string refusal(const RobustConfig& config, const std::vector<std::string>& group_names) {
  return refusal_of([&] { robust_settings_for(config, group_names); });
}

TEST(GroupSettings, ImportanceWeightsFollowTheGroupsOfTheData) {
  const RobustConfig config = with_weights({{"south", 3}, {"north", 1}});
  EXPECT_THAT(robust_settings_for(config, {"north", "south"}).importance_weight_K, ElementsAre(1, 3));
  EXPECT_THAT(robust_settings_for(config, {"south", "north"}).importance_weight_K, ElementsAre(3, 1));
}

TEST(GroupSettings, WithoutImportanceWeightsThereAreNone) {
  EXPECT_TRUE(robust_settings_for({}, {"north", "south"}).importance_weight_K.empty());
}

TEST(GroupSettings, AGroupWithoutAWeightAndAWeightWithoutAGroupAreNamed) {
  EXPECT_EQ(refusal(with_weights({{"north", 1}}), {"north", "south"}),
            "robust.importance_weights has none for group \"south\", expected one for each group of the training data");
  EXPECT_EQ(refusal(with_weights({{"north", 1}, {"east", 1}}), {"north"}),
            "robust.importance_weights names group \"east\", which the training data does not have");
}

TEST(GroupSettings, APopulationHasAsManyPairsAsItsGroupsSay) {
  const std::vector<double> counted_K = {30, 10};
  EXPECT_EQ(population_size(counted_K, counted_K, 40), 40);
  EXPECT_EQ(population_size(std::vector<double>{100, 300}, counted_K, 40), 400);
  // Pairs in two groups each: 40 pairs, 80 memberships.
  EXPECT_EQ(population_size(std::vector<double>{100, 300}, std::vector<double>{40, 40}, 40), 200);
}

TEST(SeveralGroups, AreNeededWhereGroupsAreWeighedAgainstEachOther) {
  EXPECT_EQ(refusal_of([] { check_several_groups(RobustMode::kGroupRobust, {"all"}, "add some"); }),
            "robust.mode is group_robust, but the training data has a single group, \"all\", expected two or more; add "
            "some");
  EXPECT_THROW(check_several_groups(RobustMode::kImportance, {"all"}, ""), std::invalid_argument);
  EXPECT_NO_THROW(check_several_groups(RobustMode::kNone, {"all"}, ""));
  EXPECT_NO_THROW(check_several_groups(RobustMode::kGroupRobust, {"north", "south"}, ""));
}

TEST(GroupSettings, GroupsOfTheSamePairsAreRefused) {
  EXPECT_EQ(refusal_of([] {
              check_groups_differ(RobustMode::kGroupRobust, {"Asia", "Asia/India"}, false);
            }),
            "robust.mode is group_robust, but every pair of the training data is in all 2 groups alike (\"Asia\", "
            "\"Asia/India\", ...), so that their losses are one; expected groups of different pairs");
  EXPECT_NO_THROW(check_groups_differ(RobustMode::kGroupRobust, {"Asia", "Asia/India"}, true));
  EXPECT_NO_THROW(check_groups_differ(RobustMode::kNone, {"Asia", "Asia/India"}, false));
}

}  // namespace group_settings_test
}  // namespace equipoise
