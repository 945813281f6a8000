#include "client/plot/bar_chart.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "client/plot/chart_frame.h"
#include "common/base/number_text.h"

namespace equipoise::plot {
namespace {

constexpr double kTop = 26;
constexpr double kAxisHeight = 38;   // tick labels and the axis title
constexpr double kValueWidth = 50;   // for the number at the end of the longest bar
constexpr double kBarOfSlot = 0.68;  // the rest separates bars

Interval values_of(const BarPanel& panel) {
  double most = 0;
  for (const Bar& bar : panel.bars) {
    for (const double value : {bar.value, bar.low, bar.high}) {
      if (!std::isfinite(value) || bar.value < 0) {
        throw std::invalid_argument("bar \"" + bar.label + "\" of \"" + panel.axis_title + "\" is " +
                                    number_text(value) + ", expected finite values of at least 0");
      }
      most = std::max(most, value);
    }
  }
  return {0, most > 0 ? most : 1};
}

void draw_bar(SvgWriter& svg, const Bar& bar, const Scale& across, double top, double slot) {
  const double middle = top + slot / 2;
  const double start = across.pixel(0);
  const std::string ink(ink_class(bar.ink));
  svg.text({start - 7, middle + 3.8}, Anchor::kEnd, "label " + ink, bar.label);
  svg.element("rect", {{"x", start},
                       {"y", middle - slot * kBarOfSlot / 2},
                       {"width", across.pixel(bar.value) - start},
                       {"height", slot * kBarOfSlot},
                       {"class", "bar " + ink}});
  double end = across.pixel(bar.value);
  if (bar.high > bar.low) {
    const double low = across.pixel(std::max(bar.low, 0.0));
    end = across.pixel(bar.high);
    svg.line({low, middle}, {end, middle}, "whisker");
    svg.line({low, middle - 3}, {low, middle + 3}, "whisker");
    svg.line({end, middle - 3}, {end, middle + 3}, "whisker");
  }
  svg.text({end + 5, middle + 3.8}, Anchor::kStart, "value", bar.value_text);
}

}  // namespace

std::string draw_bar_chart(const BarChart& chart) {
  SvgWriter svg(chart.size, chart.description.empty() ? chart.title : chart.description);
  svg.text({chart.label_width, 14}, Anchor::kStart, "title", chart.title);
  const double panels = static_cast<double>(std::max<std::size_t>(chart.panels.size(), 1));
  const double panel_height = (chart.size.height - kTop) / panels;
  double top = kTop;
  for (const BarPanel& panel : chart.panels) {
    const Frame frame{chart.label_width, chart.size.width - kValueWidth, top, top + panel_height - kAxisHeight};
    const Scale across(ScaleKind::kLinear, values_of(panel), {frame.left, frame.right});
    draw_horizontal_axis(svg, frame, across, panel.axis_title);
    svg.line({frame.left, frame.top}, {frame.left, frame.bottom}, "axis");
    const double slot = (frame.bottom - frame.top) / static_cast<double>(std::max<std::size_t>(panel.bars.size(), 1));
    for (std::size_t i = 0; i < panel.bars.size(); ++i) {
      draw_bar(svg, panel.bars[i], across, frame.top + slot * static_cast<double>(i), slot);
    }
    top += panel_height;
  }
  return svg.finish();
}

}  // namespace equipoise::plot
