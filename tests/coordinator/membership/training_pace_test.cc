#include "coordinator/membership/training_pace.h"

#include <gtest/gtest.h>

#include <cmath>

namespace equipoise::coordinator {
namespace training_pace_test {

// Reports of `seconds` each.
class Reports {
 public:
  void of(double seconds, double pairs_per_second, int count = 1) {
    for (int i = 0; i < count; ++i) {
      pairs_ += static_cast<std::int64_t>(seconds * pairs_per_second);
      pace.observe(pairs_, pairs_per_second);
    }
  }
  TrainingPace pace;

 private:
  std::int64_t pairs_ = 0;
};

TEST(TrainingPace, IsKnownFromTheFirstReportOn) {
  Reports reports;
  EXPECT_EQ(reports.pace.pairs_per_second(), std::nullopt);
  reports.of(0.5, 0);
  EXPECT_EQ(reports.pace.pairs_per_second(), std::nullopt);
  reports.of(1, 200);
  EXPECT_EQ(reports.pace.pairs_per_second(), 200);
  for (const double none : {std::nan(""), HUGE_VAL, -1.0}) reports.pace.observe(1000, none);
  EXPECT_EQ(reports.pace.pairs_per_second(), 200);
}

// The newest one alone foretold an end that was ten times as far away.
TEST(TrainingPace, IsHardlyMovedByOneSlowReport) {
  Reports reports;
  reports.of(0.5, 1000, 120);
  reports.of(0.5, 100);
  EXPECT_NEAR(*reports.pace.pairs_per_second(), 1000, 15);
}

TEST(TrainingPace, FollowsWhatLasts) {
  Reports reports;
  reports.of(0.5, 1000, 600);
  reports.of(0.5, 100, 120);
  EXPECT_NEAR(*reports.pace.pairs_per_second(), 550, 30) << "half of it is of the last minute";
  reports.of(0.5, 100, 1200);
  EXPECT_NEAR(*reports.pace.pairs_per_second(), 100, 2);
}

TEST(TrainingPace, OfStepsThatTakeLongIsOfSeveral) {
  Reports reports;
  reports.of(600, 10, 20);
  reports.of(600, 20);
  EXPECT_LT(*reports.pace.pairs_per_second(), 12);
  reports.of(600, 20, 20);
  EXPECT_GT(*reports.pace.pairs_per_second(), 18);
}

}  // namespace training_pace_test
}  // namespace equipoise::coordinator
