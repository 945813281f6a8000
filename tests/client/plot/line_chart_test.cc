#include "client/plot/line_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

namespace equipoise::plot {
namespace line_chart_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// Axes of ten pixels a unit: x from 54, y from 110 upwards.
LineChart chart_of(Curve curve) {
  LineChart chart{.title = "t"};
  chart.x = {.title = "x", .kind = ScaleKind::kLinear, .values = Interval{0, 10}};
  chart.y = {.title = "y", .kind = ScaleKind::kLinear, .values = Interval{0, 10}};
  chart.size = {54 + 100 + 54, 26 + 100 + 38};
  chart.curves = {std::move(curve)};
  return chart;
}

TEST(LineChart, DrawsACurveThroughItsPoints) {
  EXPECT_THAT(draw_line_chart(chart_of({.x = {0, 5, 10}, .y = {0, 10, 2.5}})),
              HasSubstr("d=\"M54 126L104 26L154 101\""));
}

TEST(LineChart, LeavesAGapWhereAValueCannotBeDrawn) {
  EXPECT_THAT(draw_line_chart(chart_of({.x = {0, 1, 2, 3, 4}, .y = {0, 0, NAN, 0, 0}})),
              HasSubstr("d=\"M54 126L64 126M84 126L94 126\""));
}

TEST(LineChart, DrawsABandForthAlongItsTopAndBackAlongItsBottom) {
  EXPECT_THAT(draw_line_chart(chart_of({.x = {0, 10}, .y = {5, 5}, .low = {4, 3}, .high = {6, 7}})),
              HasSubstr("d=\"M54 66L154 56L154 96L54 86Z\" class=\"band ink-blue\""));
}

TEST(LineChart, KeepsABandThatALogAxisCannotShowOnTheAxis) {
  LineChart chart = chart_of({.x = {1, 10}, .y = {1, 1}, .low = {-1, 0}, .high = {10, 10}});
  chart.y = {.title = "y", .kind = ScaleKind::kLog10, .values = Interval{0.1, 10}};
  EXPECT_THAT(draw_line_chart(chart), HasSubstr("L154 126L64 126Z"));
}

TEST(LineChart, RefusesCurvesOfDifferentLengths) {
  EXPECT_THROW(draw_line_chart(chart_of({.x = {0, 1}, .y = {0}})), std::invalid_argument);
  EXPECT_THROW(draw_line_chart(chart_of({.x = {0, 1}, .y = {0, 1}, .low = {0}, .high = {1}})), std::invalid_argument);
}

TEST(LineChart, EscapesLabels) {
  const std::string svg = draw_line_chart(chart_of({.label = "a<b>", .x = {0, 1}, .y = {0, 1}}));
  EXPECT_THAT(svg, HasSubstr("a&lt;b&gt;"));
  EXPECT_THAT(svg, Not(HasSubstr("a<b>")));
}

TEST(LineChart, WithoutAnythingToDrawIsStillAPicture) {
  LineChart chart{.title = "nothing"};
  EXPECT_THAT(draw_line_chart(chart), HasSubstr("</svg>"));
}

TEST(SpreadLabels, KeepsThemApartInTheirOrder) {
  EXPECT_THAT(spread_labels({50, 20, 51}, 12, {0, 100}), ElementsAre(50, 20, 62));
}

TEST(SpreadLabels, MovesThemUpAtTheBottom) { EXPECT_THAT(spread_labels({99, 98}, 12, {0, 100}), ElementsAre(100, 88)); }

}  // namespace line_chart_test
}  // namespace equipoise::plot
