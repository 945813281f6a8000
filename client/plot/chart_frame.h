// What every chart has around its data: title, axes, ticks, grid.
#pragma once

#include <string>

#include "client/plot/scale.h"
#include "client/plot/svg_writer.h"

namespace equipoise::plot {

struct Frame {
  double left;
  double right;
  double top;
  double bottom;
};

// Grid lines, tick labels and the title below.
void draw_horizontal_axis(SvgWriter& svg, const Frame& frame, const Scale& x, const std::string& title);
// The same at the left, the title from bottom to top.
void draw_vertical_axis(SvgWriter& svg, const Frame& frame, const Scale& y, const std::string& title);

}  // namespace equipoise::plot
