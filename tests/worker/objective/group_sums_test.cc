#include "worker/objective/group_sums.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace group_sums_test {

// Pair 0 in group 0; pair 1 in groups 0 (half) and 2; pair 2 in group 2. Group 1 is absent.
class ThreePairs : public ::testing::Test {
 protected:
  const std::vector<Membership> first_ = {{0, 1.0}}, second_ = {{0, 0.5}, {2, 1.0}}, third_ = {{2, 1.0}};
  const std::vector<std::span<const Membership>> memberships_B_ = {first_, second_, third_};
  const std::vector<double> loss_B_ = {1, 2, 4};
  // S_g and n_g, by hand.
  const std::vector<double> loss_sum_K_ = {1 + 0.5 * 2, 0, 2 + 4}, pair_count_K_ = {1 + 0.5, 0, 1 + 1};
};

TEST_F(ThreePairs, LeaveAnAbsentGroupOut) {
  const GroupSums sums = present_groups(loss_sum_K_, pair_count_K_, 3);
  EXPECT_EQ(sums.group, (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(sums.loss_sum, (std::vector<double>{2, 6}));
  EXPECT_EQ(sums.pair_count, (std::vector<double>{1.5, 2}));
  EXPECT_EQ(sums.batch_pairs, 3);
}

TEST_F(ThreePairs, GetCoefficientsThatGiveBackTheWeightedGroupLosses) {
  const GroupSums sums = present_groups(loss_sum_K_, pair_count_K_, 3);
  const std::vector<double> weight = {0.25, 0.5}, scale = {1 / 1.5, 1 / 2.0};
  const auto c_B = pair_coefficients(memberships_B_, sums, weight, scale);
  double by_pair = 0, by_group = 0;
  for (std::size_t i = 0; i < 3; ++i) by_pair += c_B[i] * loss_B_[i];
  for (std::size_t g = 0; g < 2; ++g) by_group += weight[g] * scale[g] * sums.loss_sum[g];
  EXPECT_DOUBLE_EQ(by_pair, by_group);
  EXPECT_DOUBLE_EQ(c_B[1], 0.25 / 1.5 * 0.5 + 0.5 / 2);
}

TEST_F(ThreePairs, GetNoCoefficientFromAGroupThatIsNotInTheSums) {
  const GroupSums sums{.group = {2}, .loss_sum = {6}, .pair_count = {2}, .batch_pairs = 3};
  EXPECT_EQ(pair_coefficients(memberships_B_, sums, std::vector{1.0}, std::vector{0.5}),
            (std::vector<double>{0, 0.5, 0.5}));
}

}  // namespace group_sums_test
}  // namespace equipoise
