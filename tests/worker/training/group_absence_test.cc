#include "worker/training/group_absence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace equipoise {
namespace group_absence_test {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// Choose 2 of 5 of which 2 are members: 3 of 10 draws have none.
TEST(GroupAbsence, IsHypergeometric) {
  EXPECT_NEAR(absence_probability(5, 2, 2), 0.3, 1e-12);
  EXPECT_NEAR(absence_probability(5, 1, 1), 0.8, 1e-12);
  EXPECT_EQ(absence_probability(5, 4, 2), 0);
  EXPECT_NEAR(absence_probability(10, 10, 0.25), 0.75, 1e-12);  // a place in every fourth batch
}

std::vector<double> of_small_groups(const std::optional<Strata>& strata) {
  const std::vector<Membership> memberships = {{.group = 0, .weight = 1}, {.group = 1, .weight = 0.5}};
  const std::span<const Membership> both(memberships), first(both.first(1));
  const std::vector<std::span<const Membership>> memberships_N = {both, first, first, first, first};
  return absence_K(memberships_N, strata, 2, 2);
}

TEST(GroupAbsence, CountsMembersWhateverTheirShare) {
  EXPECT_THAT(of_small_groups(std::nullopt), ElementsAre(DoubleNear(0, 1e-12), DoubleNear(0.6, 1e-12)));
}

TEST(GroupAbsence, IsNoneOfAStratumWithAPlaceInEveryBatch) {
  const Strata strata{.stratum_N = {1, 0, 0, 0, 0}, .share_K = {0.5, 0.5}};
  EXPECT_THAT(of_small_groups(strata), ElementsAre(DoubleNear(0, 1e-12), DoubleNear(0, 1e-12)));
}

TEST(GroupAbsence, IsSaidOfGroupsThatMoreThanOneInAHundredBatchesLackTheMostAbsentFirst) {
  EXPECT_EQ(absence_line(std::vector<std::string>{"big", "middle"}, std::vector{0.0, 0.01}), "");
  const std::string line =
      absence_line(std::vector<std::string>{"big", "small", "rare"}, std::vector{0.001, 0.25, 0.6});
  EXPECT_THAT(line, StartsWith("robust.estimator batch_mean: batches will lack \"rare\" (60 %), \"small\" (25 %) of"));
  EXPECT_THAT(line, HasSubstr("choose robust.estimator unbiased, or training.sampling stratified"));
  EXPECT_THAT(absence_line(std::vector<std::string>(12, "g"), std::vector<double>(12, 0.5)), HasSubstr(" and 2 more"));
}

}  // namespace group_absence_test
}  // namespace equipoise
