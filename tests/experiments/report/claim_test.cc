#include "experiments/report/claim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace equipoise::reproduce {
namespace claim_test {

using testing::HasSubstr;

// Differences 0.1, 0.2, 0.3: mean 0.2, standard error 0.1/sqrt(3) = 0.058, so 3.5 of them.
TEST(Claim, IsAboveWhereTheMeanDifferenceIsMoreThanTwoStandardErrors) {
  const std::vector<double> a{1.1, 1.2, 1.3}, b{1, 1, 1}, wide{1.0, 1.2, 1.4};
  EXPECT_EQ(judge_above(a, b).verdict, Verdict::kHolds);
  EXPECT_EQ(judge_above(b, a).verdict, Verdict::kDoesNotHold);
  EXPECT_EQ(judge_above(wide, b).verdict, Verdict::kDoesNotHold);  // 1.7 standard errors
  EXPECT_EQ(judge_above(b, b).verdict, Verdict::kDoesNotHold);
  EXPECT_THAT(judge_above(a, b).numbers, HasSubstr("1.20 against 1.00, difference 0.200\u00a0±\u00a00.058"));
}

class ClaimTable : public testing::Test {
 protected:
  const std::vector<Claim> claims_{{"a < b", "mean(a) & mean(b)", {Finding{Verdict::kHolds, "1, \"2\""}, std::nullopt}},
                                   {"c", "d", {Finding{Verdict::kDoesNotHold, "3"}, Finding{Verdict::kHolds, "4"}}}};
  const std::vector<std::string> columns_{"left", "right"};
};

TEST_F(ClaimTable, IsALineForEachFindingOnTheTerminal) {
  EXPECT_EQ(claims_text(claims_, columns_),
            "a < b\n"
            "  holds          left: 1, \"2\"\n"
            "c\n"
            "  does not hold  left: 3\n"
            "  holds          right: 4\n");
}

TEST_F(ClaimTable, BecomesALineForEachFinding) {
  EXPECT_EQ(claims_csv(claims_, "side", columns_),
            "claim,rule,side,verdict,numbers\n"
            "a < b,mean(a) & mean(b),left,holds,\"1, \"\"2\"\"\"\n"
            "c,d,left,does not hold,3\n"
            "c,d,right,holds,4\n");
}

TEST_F(ClaimTable, CountsFindings) {
  EXPECT_EQ(count_claims(claims_).judged, 3);
  EXPECT_EQ(count_claims(claims_).holding, 2);
}

}  // namespace claim_test
}  // namespace equipoise::reproduce
