#include "experiments/bandits/bandit_claims.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace equipoise::reproduce {
namespace bandit_claims_test {

// Differences of mean -d and standard error 1: -d - sqrt(3), -d, -d + sqrt(3).
std::vector<double> lower_by(double d) { return {10 - d - std::sqrt(3), 20 - d, 30 - d + std::sqrt(3)}; }
const std::vector<double> kOther{10, 20, 30};

TEST(Claims, BelowHoldsBeyondTwoStandardErrorsOnly) {
  EXPECT_EQ(judge_below(lower_by(2.01), kOther).verdict, Verdict::kHolds);
  EXPECT_EQ(judge_below(lower_by(1.99), kOther).verdict, Verdict::kDoesNotHold);
  EXPECT_EQ(judge_below(lower_by(-5), kOther).verdict, Verdict::kDoesNotHold);
}

TEST(Claims, BelowDoesNotHoldForEqualNumbers) { EXPECT_EQ(judge_below(kOther, kOther).verdict, Verdict::kDoesNotHold); }

TEST(Claims, BelowSaysItsNumbers) {
  EXPECT_EQ(judge_below(lower_by(3), kOther).numbers, "17.0 against 20.0, difference −3.00\u00a0±\u00a01.0");
}

TEST(Claims, AlikeHoldsWithinTheTolerance) {
  const std::vector<double> near{10.09, 20.19, 30.29};  // means 20.19 and 20
  EXPECT_EQ(judge_alike(near, kOther, 0.01).verdict, Verdict::kHolds);
  EXPECT_EQ(judge_alike(near, kOther, 0.009).verdict, Verdict::kDoesNotHold);
  EXPECT_EQ(judge_alike(kOther, near, 0.009).verdict, Verdict::kDoesNotHold);
}

TEST(Claims, AboveHoldsBeyondTwoStandardErrorsOnly) {
  const std::vector<double> alpha{0.6 - 0.01 * std::sqrt(3), 0.6, 0.6 + 0.01 * std::sqrt(3)};
  EXPECT_EQ(judge_above(alpha, 0.579).verdict, Verdict::kHolds);
  EXPECT_EQ(judge_above(alpha, 0.581).verdict, Verdict::kDoesNotHold);
}

TEST(Claims, ASlopeThatIsNoNumberDoesNotHold) {
  EXPECT_EQ(judge_slope(-0.5, -0.5).verdict, Verdict::kHolds);
  EXPECT_EQ(judge_slope(-0.49, -0.5).verdict, Verdict::kDoesNotHold);
  EXPECT_EQ(judge_slope(std::numeric_limits<double>::quiet_NaN(), -0.5).verdict, Verdict::kDoesNotHold);
}

TEST(Claims, SlopeOfTheGapLooksAtTheLastTwoDecadesOnly) {
  Series gap;
  for (double iteration = 1; iteration <= 1e4; iteration *= 10) {
    gap.iteration.push_back(iteration);
    gap.over_seeds.push_back({.mean = iteration < 100 ? 1.0 : 1 / iteration});
  }
  EXPECT_NEAR(gap_slope(gap), -1, 1e-12);
}

TEST(Claims, CountLeavesOutWhatIsNotClaimed) {
  const Finding holds{Verdict::kHolds, ""};
  const Finding fails{Verdict::kDoesNotHold, ""};
  const ClaimCount count = count_claims(std::vector<Claim>{{"", "", {holds, std::nullopt, fails}}, {"", "", {holds}}});
  EXPECT_EQ(count.holding, 2);
  EXPECT_EQ(count.judged, 3);
}

}  // namespace bandit_claims_test
}  // namespace equipoise::reproduce
