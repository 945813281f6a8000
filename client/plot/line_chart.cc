#include "client/plot/line_chart.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "client/plot/chart_frame.h"

namespace equipoise::plot {
namespace {

constexpr double kLabelGap = 12.5;  // pixels between the labels of two curves, at 11 px letters

void check_lengths(const Curve& curve) {
  const std::size_t points = curve.x.size();
  const bool band = !curve.low.empty() || !curve.high.empty();
  if (curve.y.size() != points || (band && (curve.low.size() != points || curve.high.size() != points))) {
    throw std::invalid_argument("curve \"" + curve.label + "\" has " + std::to_string(points) + " x and " +
                                std::to_string(curve.y.size()) + " y, " + std::to_string(curve.low.size()) +
                                " low and " + std::to_string(curve.high.size()) +
                                " high values, expected equal counts");
  }
}

Interval x_values(const LineChart& chart) {
  if (chart.x.values) return *chart.x.values;
  std::vector<double> all;
  for (const Curve& curve : chart.curves) all.insert(all.end(), curve.x.begin(), curve.x.end());
  return interval_of(all, chart.x.kind, 0.0);
}

Interval y_values(const LineChart& chart) {
  if (chart.y.values) return *chart.y.values;
  std::vector<double> all;
  for (const Curve& curve : chart.curves) {
    for (const std::vector<double>* values : {&curve.y, &curve.low, &curve.high}) {
      all.insert(all.end(), values->begin(), values->end());
    }
  }
  return interval_of(all, chart.y.kind, 0.05);
}

bool drawable(double value, const Scale& scale) {
  return std::isfinite(value) && (scale.kind() == ScaleKind::kLinear || value > 0);
}

std::string path_of(const std::vector<double>& x, const std::vector<double>& y, const Scale& across, const Scale& up) {
  std::string path;
  bool pen_down = false;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!drawable(x[i], across) || !drawable(y[i], up)) {
      pen_down = false;
      continue;
    }
    path.append(pen_down ? "L" : "M").append(pixel_text(across.pixel(x[i])));
    path.append(" ").append(pixel_text(up.pixel(y[i])));
    pen_down = true;
  }
  return path;
}

// Forth along the upper edge and back along the lower; the points where both can be drawn. A lower edge that a log axis
// cannot show lies on the axis.
std::string band_path(const Curve& curve, const Scale& across, const Scale& up) {
  std::string forth;
  std::string back;
  for (std::size_t i = 0; i < curve.x.size(); ++i) {
    if (!drawable(curve.x[i], across) || !drawable(curve.high[i], up) || !std::isfinite(curve.low[i])) continue;
    const std::string x = pixel_text(across.pixel(curve.x[i])) + " ";
    forth.append(forth.empty() ? "M" : "L").append(x).append(pixel_text(up.pixel(curve.high[i])));
    back = std::string("L").append(x).append(pixel_text(up.pixel(curve.low[i]))).append(back);
  }
  return forth.empty() ? "" : forth + back + "Z";
}

void draw_curve(SvgWriter& svg, const Curve& curve, const Scale& across, const Scale& up) {
  const std::string ink(ink_class(curve.ink));
  const std::string path = path_of(curve.x, curve.y, across, up);
  if (!path.empty()) {
    svg.element("path", {{"d", path}, {"class", "curve " + ink + " " + std::string(stroke_class(curve.stroke))}});
  }
  if (curve.marks == Curve::Marks::kNone) return;
  for (std::size_t i = 0; i < curve.x.size(); ++i) {
    if (!drawable(curve.x[i], across) || !drawable(curve.y[i], up)) continue;
    svg.element(
        "circle",
        {{"cx", across.pixel(curve.x[i])}, {"cy", up.pixel(curve.y[i])}, {"r", 2.6}, {"class", "marker " + ink}});
  }
}

void draw_labels(SvgWriter& svg, const std::vector<Curve>& curves, const Scale& up, const Frame& frame) {
  std::vector<const Curve*> labelled;
  std::vector<double> wanted;
  for (const Curve& curve : curves) {
    if (curve.label.empty() || curve.y.empty() || !drawable(curve.y.back(), up)) continue;
    labelled.push_back(&curve);
    wanted.push_back(up.pixel(curve.y.back()) + 3.5);
  }
  const std::vector<double> height = spread_labels(wanted, kLabelGap, {frame.top + 4, frame.bottom + 3.5});
  for (std::size_t i = 0; i < labelled.size(); ++i) {
    svg.text({frame.right + 5, height[i]}, Anchor::kStart, "label " + std::string(ink_class(labelled[i]->ink)),
             labelled[i]->label);
  }
}

}  // namespace

std::string draw_line_chart(const LineChart& chart) {
  for (const Curve& curve : chart.curves) check_lengths(curve);
  const Frame frame{54, chart.size.width - chart.label_width, 26, chart.size.height - 38};
  const Scale across(chart.x.kind, x_values(chart), {frame.left, frame.right});
  const Scale up(chart.y.kind, y_values(chart), {frame.bottom, frame.top});
  SvgWriter svg(chart.size, chart.description.empty() ? chart.title : chart.description);
  svg.text({frame.left, 14}, Anchor::kStart, "title", chart.title);
  draw_horizontal_axis(svg, frame, across, chart.x.title);
  draw_vertical_axis(svg, frame, up, chart.y.title);
  for (const Curve& curve : chart.curves) {
    const std::string path = curve.high.empty() ? "" : band_path(curve, across, up);
    if (!path.empty()) svg.element("path", {{"d", path}, {"class", "band " + std::string(ink_class(curve.ink))}});
  }
  for (const Curve& curve : chart.curves) draw_curve(svg, curve, across, up);
  draw_labels(svg, chart.curves, up, frame);
  return svg.finish();
}

std::vector<double> spread_labels(std::vector<double> wanted, double gap, Interval inside) {
  std::vector<std::size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
  double next = inside.low;
  for (const std::size_t i : order) {
    wanted[i] = std::max(wanted[i], next);
    next = wanted[i] + gap;
  }
  next = inside.high;
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    wanted[*i] = std::min(wanted[*i], next);
    next = wanted[*i] - gap;
  }
  return wanted;
}

}  // namespace equipoise::plot
