#include "common/robust/step_schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

namespace equipoise {
namespace step_schedule_test {

TEST(StepSchedule, ShrinksOnceTheLossHasNotFallenForThePatience) {
  StepSchedule schedule("step", 1, {.factor = 0.5, .patience = 2, .threshold = 0.1});
  const double losses[] = {10, 8.9, 8.5, 8.4, 7, 7, 7, 7, 7};
  // 8.5 and 8.4 are not below 0.9 * 8.9; 7 is, and the four that follow are not.
  const double expected[] = {1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125};
  for (std::size_t i = 0; i < std::size(losses); ++i) {
    schedule.observe(losses[i]);
    EXPECT_EQ(schedule.step_size(), expected[i]) << i;
  }
}

TEST(StepSchedule, CountsWhatIsNotANumberAsNotFallen) {
  StepSchedule schedule("step", 1, {.factor = 0.5, .patience = 1});
  schedule.observe(std::nan(""));
  EXPECT_EQ(schedule.step_size(), 0.5);
}

TEST(StepSchedule, StopsAtTheSmallest) {
  StepSchedule schedule("step", 1, {.factor = 0.1, .patience = 1, .smallest = 0.05});
  for (int i = 0; i < 5; ++i) schedule.observe(1);
  EXPECT_EQ(schedule.step_size(), 0.05);
}

TEST(StepSchedule, ContinuesFromAState) {
  StepSchedule first("step", 1, {.factor = 0.5, .patience = 3});
  StepSchedule second = first;
  for (int i = 0; i < 5; ++i) first.observe(1);
  second.restore(first.state());
  first.observe(1);
  second.observe(1);
  EXPECT_EQ(first.step_size(), second.step_size());
}

TEST(StepSchedule, RefusesSettingsOutOfTheirRange) {
  EXPECT_THROW(StepSchedule("step", -1), std::invalid_argument);
  EXPECT_THROW(StepSchedule("step", std::nan("")), std::invalid_argument);
  EXPECT_THROW(StepSchedule("step", 1, {.factor = 0}), std::invalid_argument);
  EXPECT_THROW(StepSchedule("step", 1, {.factor = 1.5}), std::invalid_argument);
  EXPECT_THROW(StepSchedule("step", 1, {.patience = 0}), std::invalid_argument);
  EXPECT_THROW(StepSchedule("step", 1, {.threshold = 1}), std::invalid_argument);
}

}  // namespace step_schedule_test
}  // namespace equipoise
