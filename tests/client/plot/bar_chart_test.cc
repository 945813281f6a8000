#include "client/plot/bar_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

namespace equipoise::plot {
namespace bar_chart_test {

using testing::HasSubstr;

BarChart chart_of(std::vector<Bar> bars) {
  BarChart chart{.title = "t"};
  chart.panels = {{"axis", std::move(bars)}};
  chart.label_width = 60;
  chart.size = {60 + 200 + 50, 200};  // the longest value at 200 pixels
  return chart;
}

TEST(BarChart, BarsBeginAtZeroAndAreAsLongAsTheirValues) {
  const std::string svg = draw_bar_chart(chart_of({{"a", Ink::kBlue, 4, 4, 4, "4"}, {"b", Ink::kGreen, 1, 1, 1, "1"}}));
  EXPECT_THAT(svg, HasSubstr("width=\"200\""));
  EXPECT_THAT(svg, HasSubstr("width=\"50\""));
}

TEST(BarChart, MakesRoomForTheWhiskers) {
  EXPECT_THAT(draw_bar_chart(chart_of({{"a", Ink::kBlue, 2, 1, 4, "2"}})), HasSubstr("width=\"100\""));
}

TEST(BarChart, RefusesWhatHasNoLength) {
  EXPECT_THROW(draw_bar_chart(chart_of({{"a", Ink::kBlue, -1, -1, -1, ""}})), std::invalid_argument);
  EXPECT_THROW(draw_bar_chart(chart_of({{"a", Ink::kBlue, NAN, 0, 0, ""}})), std::invalid_argument);
}

}  // namespace bar_chart_test
}  // namespace equipoise::plot
