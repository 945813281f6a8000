#include "experiments/bandits/bandit_run.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "experiments/bandits/bandit_report.h"

namespace equipoise::reproduce {
namespace bandit_run_test {

BanditOptions small() { return {.first_seed = 5, .seeds = 2, .most_iterations = 40}; }

TEST(BanditRun, TradeOffOfOneIsThePapersRun) {
  const BanditRun run = run_bandit(paper_scenarios()[0], small(), 3);
  EXPECT_EQ(run.trade_off[0].back().validation_loss_K,
            run.methods[static_cast<std::size_t>(Method::kGrDpo)].back().validation_loss_K);
  EXPECT_NE(run.trade_off[0].front().validation_loss_K, run.trade_off[0].back().validation_loss_K);
}

// Both minimise the mean of the group losses: weights 1/N_g on sums are equal weights on means.
TEST(BanditRun, ImportanceSampledIpoEndsWhereTradeOffZeroDoes) {
  for (const Scenario& scenario : paper_scenarios()) {
    const BanditRun run = run_bandit(scenario, small(), 3);
    const std::vector<double>& sampled = run.methods[static_cast<std::size_t>(Method::kIsIpo)].back().validation_loss_K;
    const std::vector<double>& equal = run.trade_off[static_cast<std::size_t>(Family::kIpo)].front().validation_loss_K;
    for (std::size_t g = 0; g < equal.size(); ++g) EXPECT_NEAR(sampled[g], equal[g], 1e-9 * equal[g]);
  }
}

TEST(BanditRun, MethodsOfOneSeedStartAtTheSameTheta) {
  const BanditRun run = run_bandit(paper_scenarios()[1], small(), 3);
  for (const Trajectory& trajectory : run.methods) {
    EXPECT_EQ(trajectory.front().iteration, 0);
    EXPECT_EQ(trajectory.front().reward_error_K, run.methods.front().front().reward_error_K);
    EXPECT_EQ(trajectory.back().iteration, 40);
  }
}

// The maximum over weights is the largest loss and no weighted minimum can be above it.
TEST(BanditRun, DualityGapIsNeverNegative) {
  for (const Scenario& scenario : paper_scenarios()) {
    for (const GapTrajectory& gaps : run_bandit(scenario, small(), 7).gaps) {
      ASSERT_FALSE(gaps.empty());
      for (const GapPoint& point : gaps) EXPECT_GE(point.gap, -1e-9 * point.primal);
    }
  }
}

TEST(BanditRunner, ReportDoesNotDependOnTheNumberOfThreads) {
  const BanditResults one = run_bandits(small(), 1, nullptr);
  std::size_t calls = 0;
  const BanditResults three = run_bandits(small(), 3, [&](std::size_t done, std::size_t all) {
    EXPECT_EQ(done, ++calls);
    EXPECT_EQ(all, 6U);
  });
  EXPECT_EQ(calls, 6U);
  const std::vector<ReportFile> first = bandit_report_files(one, judge_bandits(one));
  const std::vector<ReportFile> second = bandit_report_files(three, judge_bandits(three));
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].content, second[i].content) << first[i].name;
}

TEST(BanditRunner, RefusesSettingsOutOfTheirRange) {
  EXPECT_THROW(run_bandits({.seeds = 1}, 1, nullptr), std::invalid_argument);
  EXPECT_THROW(run_bandits({.seeds = 2, .most_iterations = -1}, 1, nullptr), std::invalid_argument);
  EXPECT_THROW(run_bandits(small(), 0, nullptr), std::invalid_argument);
}

}  // namespace bandit_run_test
}  // namespace equipoise::reproduce
