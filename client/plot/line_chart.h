// Curves with confidence bands, as one <svg> element that takes its colours from plot_style_sheet().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/plot/palette.h"
#include "client/plot/scale.h"
#include "client/plot/svg_writer.h"

namespace equipoise::plot {

struct AxisSpec {
  std::string title = {};
  ScaleKind kind = ScaleKind::kLinear;
  std::optional<Interval> values = std::nullopt;  // absent: from the data
};

// A curve through (x[i], y[i]); a value that cannot be drawn (not finite; not positive on a log axis) leaves a gap.
struct Curve {
  std::string label = {};  // written at the end of the curve; empty: none
  Ink ink = Ink::kBlue;
  Stroke stroke = Stroke::kSolid;
  std::vector<double> x = {};
  std::vector<double> y = {};
  std::vector<double> low = {};  // of the band, as long as x; empty: no band
  std::vector<double> high = {};
  enum class Marks { kNone, kPoints } marks = Marks::kNone;
};

struct LineChart {
  std::string title;
  std::string description = {};  // for those who cannot see it; empty: the title
  AxisSpec x = {};
  AxisSpec y = {};
  std::vector<Curve> curves = {};
  PlotSize size = {};
  double label_width = 54;  // pixels kept free at the right for the labels of the curves
};

// Throws std::invalid_argument if vectors of a curve differ in length or an axis cannot be drawn.
std::string draw_line_chart(const LineChart& chart);

// Where labels wanted at these heights are written: in the same order from top to bottom, `gap` apart at least and
// inside the interval if there is room.
std::vector<double> spread_labels(std::vector<double> wanted, double gap, Interval inside);

}  // namespace equipoise::plot
