#include "client/plot/chart_frame.h"

namespace equipoise::plot {
namespace {

// A label of five characters at 11 px needs about 40 px across, and 22 px of height keep the grid calm.
constexpr double kPixelsPerLabelAcross = 45;
constexpr double kPixelsPerLabelUp = 34;

std::size_t wanted_ticks(double pixels, double each) {
  return static_cast<std::size_t>(pixels < 3 * each ? 3 : pixels / each);
}

}  // namespace

void draw_horizontal_axis(SvgWriter& svg, const Frame& frame, const Scale& x, const std::string& title) {
  const double width = frame.right - frame.left;
  for (const Tick& tick : axis_ticks(x.kind(), x.values(), wanted_ticks(width, kPixelsPerLabelAcross))) {
    const double at = x.pixel(tick.value);
    svg.line({at, frame.top}, {at, frame.bottom}, "grid");
    svg.line({at, frame.bottom}, {at, frame.bottom + 4}, "axis");
    svg.text({at, frame.bottom + 15}, Anchor::kMiddle, "tick", tick.label);
  }
  svg.line({frame.left, frame.bottom}, {frame.right, frame.bottom}, "axis");
  svg.text({(frame.left + frame.right) / 2, frame.bottom + 30}, Anchor::kMiddle, "axis-title", title);
}

void draw_vertical_axis(SvgWriter& svg, const Frame& frame, const Scale& y, const std::string& title) {
  const double height = frame.bottom - frame.top;
  for (const Tick& tick : axis_ticks(y.kind(), y.values(), wanted_ticks(height, kPixelsPerLabelUp))) {
    const double at = y.pixel(tick.value);
    svg.line({frame.left, at}, {frame.right, at}, "grid");
    svg.line({frame.left - 4, at}, {frame.left, at}, "axis");
    svg.text({frame.left - 7, at + 3.5}, Anchor::kEnd, "tick", tick.label);
  }
  svg.line({frame.left, frame.top}, {frame.left, frame.bottom}, "axis");
  if (!title.empty()) svg.vertical_text({11, (frame.top + frame.bottom) / 2}, "axis-title", title);
}

}  // namespace equipoise::plot
