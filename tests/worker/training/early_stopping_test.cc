#include "worker/training/early_stopping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "worker/collective/cpu_collective.h"

namespace equipoise {
namespace early_stopping_test {

using ::testing::HasSubstr;

EarlyStopping fed(const EarlyStoppingConfig& config, const std::vector<double>& values) {
  EarlyStopping stopping(config);
  std::int64_t step = 0;
  for (const double value : values) stopping.observe(step++, {{"worst_group_loss", value}});
  return stopping;
}

const EarlyStoppingConfig kSmaller{.metric = "worst_group_loss", .patience = 2};

TEST(EarlyStopping, WaitsForThePatienceAfterTheBest) {
  EXPECT_FALSE(fed(kSmaller, {1, 0.5, 0.6}).should_stop());
  EXPECT_FALSE(fed(kSmaller, {1, 0.5, 0.6, 0.4, 0.7}).should_stop());
  const EarlyStopping stopping = fed(kSmaller, {1, 0.5, 0.6, 0.5});
  EXPECT_TRUE(stopping.should_stop());
  EXPECT_EQ(stopping.best().best(), 0.5);
  EXPECT_EQ(stopping.best().best_step(), 1);
  EXPECT_EQ(stopping.best().metric(), "worst_group_loss");
}

TEST(EarlyStopping, LooksForTheLargestWithModeMax) {
  EarlyStoppingConfig larger = kSmaller;
  larger.mode = StopMode::kMax;
  EXPECT_EQ(fed(larger, {-1, 0.5, 0.6, 0.4}).best().best(), 0.6);
  EXPECT_TRUE(fed(larger, {0.6, 0.5, 0.6}).should_stop());
}

TEST(EarlyStopping, CallsBetterOnlyWhatIsBetterByMoreThanMinDelta) {
  EarlyStoppingConfig config = kSmaller;
  config.min_delta = 0.25;
  EXPECT_EQ(fed(config, {1, 0.75}).best().best(), 1);
  EXPECT_EQ(fed(config, {1, 0.5}).best().best(), 0.5);
}

TEST(EarlyStopping, TakesNoNumberForNoBetterAndNeverStopsBeforeThereWasOne) {
  const double nan = std::nan("");
  EXPECT_TRUE(fed(kSmaller, {1, nan, nan}).should_stop());
  EXPECT_FALSE(fed(kSmaller, {nan, nan, nan, nan}).should_stop());
  EXPECT_EQ(fed(kSmaller, {nan, nan, nan, 2}).best().best(), 2);
  EXPECT_FALSE(fed(kSmaller, {INFINITY, INFINITY, INFINITY}).should_stop());
}

TEST(EarlyStopping, KnowsAMetricWithAndWithoutItsPrefix) {
  EarlyStopping stopping({.metric = "eval_worst_group_loss"});
  EXPECT_TRUE(stopping.observe(0, {{"worst_group_loss", 1}}));
  EarlyStopping prefixed({.metric = "eval_loss"});
  EXPECT_TRUE(prefixed.observe(0, {{"eval_loss", 1}}));
}

TEST(EarlyStopping, RefusesAMetricThatIsNotThere) {
  EarlyStopping stopping({.metric = "lozz"});
  try {
    stopping.observe(0, {{"eval_loss", 1}, {"worst_group_loss", 2}});
    FAIL();
  } catch (const std::invalid_argument& problem) {
    EXPECT_STREQ(problem.what(),
                 "training.early_stopping.metric is \"lozz\", expected one of: eval_loss, worst_group_loss");
  }
}

// A gap is not there where a loss is not finite.
TEST(EarlyStopping, TakesALaterEvaluationWithoutTheMetricForNoBetter) {
  EarlyStopping stopping({.metric = "robust_gap", .patience = 1});
  EXPECT_TRUE(stopping.observe(0, {{"robust_gap", 1}}));
  EXPECT_FALSE(stopping.observe(1, {{"eval_loss", 1}}));
  EXPECT_TRUE(stopping.should_stop());
}

// Only rank 0 has the numbers, which come from its file; all ranks must leave the loop together.
TEST(EvaluationWatch, LetsAllRanksDoTheSame) {
  run_ranks(3, [](Collective& host) {
    EvaluationWatch watch(kSmaller, host);
    const std::vector<double> values = {1, 0.5, 0.75, 0.625};
    for (std::size_t step = 0; step < values.size(); ++step) {
      EvaluationNumbers numbers;
      if (host.info().rank == 0) numbers["worst_group_loss"] = values[step];
      const EvaluationVerdict verdict = watch.judge(static_cast<std::int64_t>(step), numbers);
      EXPECT_EQ(verdict.worst_group_loss, values[step]);
      EXPECT_EQ(verdict.is_best, step < 2);
      ASSERT_EQ(verdict.stop.has_value(), step == 3);
      if (step == 3) {
        EXPECT_EQ(verdict.stop->best(), 0.5);
        EXPECT_EQ(verdict.stop->best_step(), 1);
        EXPECT_EQ(verdict.stop->metric(), "worst_group_loss");
      }
    }
  });
}

// As a run that goes on from a checkpoint: after any evaluation the rest is judged as it would have been.
TEST(EvaluationWatch, GoesOnFromARecordedState) {
  const std::vector<double> values = {1, INFINITY, 0.5, 0.75, 0.4, 0.6, 0.5};
  for (std::size_t cut = 0; cut <= values.size(); ++cut) {
    run_ranks(2, [&](Collective& host) {
      EvaluationWatch whole(kSmaller, host), first(kSmaller, host), second(kSmaller, host);
      std::string verdicts, others;
      const auto judge = [&](EvaluationWatch& watch, std::size_t step) {
        const EvaluationVerdict verdict =
            watch.judge(static_cast<std::int64_t>(step), {{"worst_group_loss", values[step]}});
        return std::to_string(verdict.is_best) + (verdict.stop ? verdict.stop->ShortDebugString() : "");
      };
      for (std::size_t step = 0; step < values.size(); ++step) {
        verdicts += judge(whole, step);
        if (step == cut) second.restore(CheckpointJson::parse(first.state().dump()));
        others += judge(step < cut ? first : second, step);
      }
      EXPECT_EQ(verdicts, others);
    });
  }
}

TEST(EvaluationWatch, SaysOfARecordedStateThatTrainingEnds) {
  run_ranks(2, [](Collective& host) {
    EvaluationWatch watch(kSmaller, host);
    EXPECT_FALSE(watch.stop());
    for (const double value : {0.5, 1.0, 1.0}) watch.judge(0, {{"worst_group_loss", value}});
    EvaluationWatch resumed(kSmaller, host);
    if (host.info().rank == 0) resumed.restore(watch.state());
    ASSERT_TRUE(resumed.stop());
    EXPECT_EQ(resumed.stop()->best(), 0.5);
  });
}

TEST(EvaluationWatch, WithoutEarlyStoppingTellsTheWorstLossAlone) {
  run_ranks(2, [](Collective& host) {
    EvaluationWatch watch(std::nullopt, host);
    EvaluationNumbers numbers;
    if (host.info().rank == 0) numbers["worst_group_loss"] = 0.25;
    const EvaluationVerdict verdict = watch.judge(0, numbers);
    EXPECT_EQ(verdict.worst_group_loss, 0.25);
    EXPECT_FALSE(verdict.is_best || verdict.stop);
  });
}

}  // namespace early_stopping_test
}  // namespace equipoise
