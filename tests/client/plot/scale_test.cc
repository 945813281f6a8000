#include "client/plot/scale.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace equipoise::plot {
namespace scale_test {

using testing::ElementsAre;

std::vector<std::string> labels(ScaleKind kind, Interval values, std::size_t wanted) {
  std::vector<std::string> texts;
  for (const Tick& tick : axis_ticks(kind, values, wanted)) texts.push_back(tick.label);
  return texts;
}

TEST(Scale, DrawsEndsOfTheIntervalAtTheEndsOfTheAxis) {
  const Scale up(ScaleKind::kLinear, {2, 6}, {100, 0});
  EXPECT_DOUBLE_EQ(up.pixel(2), 100);
  EXPECT_DOUBLE_EQ(up.pixel(3), 75);
  EXPECT_DOUBLE_EQ(up.pixel(6), 0);
}

TEST(Scale, GivesEachDecadeOfALogAxisTheSameLength) {
  const Scale across(ScaleKind::kLog10, {1, 1000}, {0, 300});
  EXPECT_NEAR(across.pixel(10), 100, 1e-9);
  EXPECT_NEAR(across.pixel(100), 200, 1e-9);
}

TEST(Scale, DrawsWhatIsOutsideAtTheNearestEndAndKeepsNaN) {
  const Scale log(ScaleKind::kLog10, {1, 10}, {0, 50});
  EXPECT_EQ(log.pixel(-3), 0);
  EXPECT_EQ(log.pixel(1e9), 50);
  EXPECT_TRUE(std::isnan(log.pixel(std::numeric_limits<double>::quiet_NaN())));
}

TEST(Scale, RefusesAnAxisThatCannotBeDrawn) {
  EXPECT_THROW(Scale(ScaleKind::kLinear, {1, 1}, {0, 1}), std::invalid_argument);
  EXPECT_THROW(Scale(ScaleKind::kLog10, {0, 1}, {0, 1}), std::invalid_argument);
  EXPECT_THROW(Scale(ScaleKind::kLinear, {0, INFINITY}, {0, 1}), std::invalid_argument);
}

TEST(AxisTicks, AreRoundNumbersInsideTheInterval) {
  EXPECT_THAT(labels(ScaleKind::kLinear, {0, 1}, 5), ElementsAre("0", "0.2", "0.4", "0.6", "0.8", "1.0"));
  EXPECT_THAT(labels(ScaleKind::kLinear, {14.2, 19.9}, 5), ElementsAre("15", "16", "17", "18", "19"));
  EXPECT_THAT(labels(ScaleKind::kLinear, {-0.3, 0.3}, 3), ElementsAre("−0.2", "0", "0.2"));
}

TEST(AxisTicks, OfALogAxisArePowersOfTenWithThousandsShort) {
  EXPECT_THAT(labels(ScaleKind::kLog10, {1, 20000}, 5), ElementsAre("1", "10", "100", "1k", "10k"));
  EXPECT_THAT(labels(ScaleKind::kLog10, {1e-5, 1e-2}, 5), ElementsAre("10⁻⁵", "10⁻⁴", "0.001", "0.01"));
}

TEST(AxisTicks, OfAShortLogAxisAreTwosAndFivesToo) {
  EXPECT_THAT(labels(ScaleKind::kLog10, {0.9, 12}, 5), ElementsAre("1", "2", "5", "10"));
}

TEST(AxisTicks, AreNeverMoreThanTwiceWhatIsWanted) {
  for (const double high : {1.1, 2.0, 7.3, 99.0, 1e4, 1e12}) {
    for (const std::size_t wanted : {3, 5, 8}) {
      EXPECT_LE(axis_ticks(ScaleKind::kLinear, {1, high}, wanted).size(), 2 * wanted) << high;
      EXPECT_GE(axis_ticks(ScaleKind::kLinear, {1, high}, wanted).size(), 2U) << high;
    }
  }
}

TEST(IntervalOf, HoldsAllThatCanBeDrawn) {
  const std::vector<double> values{3, NAN, -1, INFINITY};
  const Interval padded = interval_of(values, ScaleKind::kLinear, 0.25);
  EXPECT_DOUBLE_EQ(padded.low, -2);
  EXPECT_DOUBLE_EQ(padded.high, 4);
  const std::vector<double> mixed{0, -5, 0.01, 10};
  const Interval log = interval_of(mixed, ScaleKind::kLog10, 0);
  EXPECT_NEAR(log.low, 0.01, 1e-12);
  EXPECT_NEAR(log.high, 10, 1e-9);
}

TEST(IntervalOf, OneValueOrNoneCanStillBeDrawn) {
  for (const ScaleKind kind : {ScaleKind::kLinear, ScaleKind::kLog10}) {
    for (const std::vector<double>& values : {std::vector<double>{}, {0.5}, {7, 7, 7}, {0}}) {
      const Interval interval = interval_of(values, kind, 0.05);
      EXPECT_NO_THROW(Scale(kind, interval, {0, 1}));
    }
  }
}

}  // namespace scale_test
}  // namespace equipoise::plot
