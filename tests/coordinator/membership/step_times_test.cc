#include "coordinator/membership/step_times.h"

#include <gtest/gtest.h>

namespace equipoise::coordinator {
namespace step_times_test {

using namespace std::chrono_literals;

const SteadyTime kBegin = SteadyTime{} + 1h;

TEST(StepTimes, NinetyNineOfAHundredAreNotLonger) {
  StepTimes times;
  times.add(3s);
  EXPECT_EQ(times.p99(), 3s);
  for (int i = 0; i < 97; ++i) times.add(1s);
  EXPECT_EQ(times.p99(), 3s) << "of 98";
  for (int i = 0; i < 2; ++i) times.add(1s);
  EXPECT_EQ(times.p99(), 1s) << "of 100";
}

TEST(StepTimes, AreTheNewestOnes) {
  StepTimes times;
  for (int i = 0; i < 512; ++i) times.add(60s);
  for (int i = 0; i < 512; ++i) times.add(1s);
  EXPECT_EQ(times.p99(), 1s);
}

TEST(StepTimes, AreFromOneReportToTheNextUnlessSomethingElseWasDone) {
  StepTimes times;
  times.reported(kBegin);
  EXPECT_TRUE(times.empty());
  times.reported(kBegin + 2s);
  EXPECT_EQ(times.p99(), 2s);
  times.interrupt();  // an evaluation
  times.reported(kBegin + 1h);
  times.reported(kBegin + 1h + 1s);
  EXPECT_EQ(times.p99(), 2s);
}

}  // namespace step_times_test
}  // namespace equipoise::coordinator
