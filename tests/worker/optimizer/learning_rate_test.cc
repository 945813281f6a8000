#include "worker/optimizer/learning_rate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/worker/support/golden_model.h"

namespace equipoise {
namespace learning_rate_test {

nlohmann::json golden() { return read_json("golden/optimizer/schedules.json"); }

ScheduleType type_of(const std::string& name) {
  if (name == "linear") return ScheduleType::kLinear;
  return name == "cosine" ? ScheduleType::kCosine : ScheduleType::kConstant;
}

TEST(LearningRate, IsHuggingFacesInEveryStep) {
  const nlohmann::json file = golden();
  const double peak = file["peak"];
  for (const auto& [name, run] : file["schedules"].items()) {
    const LearningRateSchedule schedule(
        {.learning_rate = peak, .warmup_steps = run["warmup_steps"], .schedule = type_of(run["type"])},
        run["total_steps"]);
    std::int64_t step = 0;
    for (const double expected : run["learning_rate"]) {
      EXPECT_NEAR(peak * schedule.factor(step), expected, 1e-16) << name << " step " << step;
      ++step;
    }
  }
}

TEST(LearningRate, FallsOnAPlateauAsTorchsDoes) {
  const nlohmann::json file = golden();
  const double peak = file["peak"];
  for (const auto& run : file["plateau"]["runs"]) {
    const auto& settings = run["settings"];
    LearningRateSchedule schedule({.learning_rate = peak,
                                   .schedule = ScheduleType::kPlateau,
                                   .plateau = {.factor = settings["factor"],
                                               .patience = settings["patience"].get<std::int64_t>() + 1,
                                               .threshold = settings["threshold"],
                                               .smallest = settings["minimum"]}},
                                  100);
    std::size_t i = 0;
    for (const auto& loss : file["plateau"]["losses"]) {
      schedule.observe(loss.is_null() ? std::numeric_limits<double>::quiet_NaN() : loss.get<double>());
      EXPECT_NEAR(peak * schedule.factor(50), run["learning_rate"][i].get<double>(), 1e-15) << i;
      ++i;
    }
  }
}

TEST(LearningRate, ThatIsSetTakesThePlaceOfTheJobsAndIsInACheckpoint) {
  for (const ScheduleType type :
       {ScheduleType::kConstant, ScheduleType::kLinear, ScheduleType::kCosine, ScheduleType::kPlateau}) {
    const OptimizerConfig config{.learning_rate = 0.5, .warmup_steps = 2, .schedule = type};
    LearningRateSchedule schedule(config, 10);
    const LearningRateSchedule before = schedule;
    schedule.set_learning_rate(0.125);
    LearningRateSchedule resumed(config, 10);
    resumed.restore(schedule.state());
    for (std::int64_t step = 0; step < 10; ++step) {
      EXPECT_EQ(schedule.factor(step), 0.25 * before.factor(step)) << step;
      EXPECT_EQ(resumed.factor(step), schedule.factor(step)) << step;
    }
  }
}

TEST(LearningRate, IsMovedByEvaluationsOnAPlateauOnly) {
  for (const ScheduleType type : {ScheduleType::kConstant, ScheduleType::kLinear, ScheduleType::kCosine}) {
    LearningRateSchedule schedule({.learning_rate = 1, .schedule = type, .plateau = {.factor = 0.5}}, 10);
    const double before = schedule.factor(5);
    for (int i = 0; i < 5; ++i) schedule.observe(1);
    EXPECT_EQ(schedule.factor(5), before);
  }
}

TEST(LearningRate, ContinuesAPlateauFromItsState) {
  const OptimizerConfig config{
      .learning_rate = 0.3, .schedule = ScheduleType::kPlateau, .plateau = {.factor = 0.5, .patience = 2}};
  LearningRateSchedule first(config, 10), second(config, 10);
  for (const double loss : {1.0, 1.1, 0.9, 0.95}) first.observe(loss);
  second.restore(first.state());
  for (const double loss : {0.95, 0.96, 0.97}) {
    first.observe(loss);
    second.observe(loss);
    EXPECT_EQ(first.factor(5), second.factor(5));
  }
  EXPECT_LT(second.factor(5), 1);
}

}  // namespace learning_rate_test
}  // namespace equipoise
