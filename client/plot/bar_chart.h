// Horizontal bars with whiskers: one panel per measure, below each other, each with an axis of its own.
#pragma once

#include <string>
#include <vector>

#include "client/plot/palette.h"
#include "client/plot/svg_writer.h"

namespace equipoise::plot {

struct Bar {
  std::string label;
  Ink ink = Ink::kBlue;
  double value = 0;
  double low = 0;  // of the whisker; equal to value: none
  double high = 0;
  std::string value_text;  // written at the end of the bar
};

struct BarPanel {
  std::string axis_title;
  std::vector<Bar> bars;  // from top to bottom
};

struct BarChart {
  std::string title;
  std::string description = {};  // for those who cannot see it; empty: the title
  std::vector<BarPanel> panels = {};
  PlotSize size = {};
  double label_width = 62;  // pixels for the labels at the left
};

// Axes begin at 0. Throws std::invalid_argument if a bar is negative or not finite.
std::string draw_bar_chart(const BarChart& chart);

}  // namespace equipoise::plot
