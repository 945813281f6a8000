#include "client/reproduce/bandit_plots.h"

#include <cmath>

#include "client/plot/bar_chart.h"
#include "client/plot/line_chart.h"
#include "client/reproduce/significant_text.h"

namespace equipoise::reproduce {
namespace {

using plot::AxisSpec;
using plot::Curve;
using plot::Ink;
using plot::LineChart;
using plot::ScaleKind;
using plot::Stroke;

constexpr std::array kGroupInks{Ink::kOrange, Ink::kSky};

std::vector<Method> methods_of(Family family) {
  std::vector<Method> methods;
  for (const Method method : kMethods) {
    if (family_of(method) == family) methods.push_back(method);
  }
  return methods;
}

AxisSpec iteration_axis() { return {.title = "iteration", .kind = ScaleKind::kLog10}; }

std::string loss_unit(Family family) { return family == Family::kDpo ? " (nats)" : ""; }

std::string method_curves(const std::vector<BanditRun>& runs, Family family, const Measure& measure, std::string title,
                          AxisSpec y) {
  LineChart chart{.title = std::move(title), .x = iteration_axis(), .y = std::move(y)};
  for (const Method method : methods_of(family)) {
    chart.curves.push_back(curve_of(std::string(method_label(method)), method_ink(method), method_stroke(method),
                                    measure_series(runs, method, measure)));
  }
  return plot::draw_line_chart(chart);
}

plot::BarPanel bars_of(const std::vector<BanditRun>& runs, Family family, const Measure& measure, std::string title) {
  plot::BarPanel panel{std::move(title), {}};
  for (const Method method : methods_of(family)) {
    const Estimate end = estimate(final_values(runs, method, measure));
    panel.bars.push_back({std::string(method_label(method)), method_ink(method), end.mean, end.low, end.high,
                          significant_text(end.mean)});
  }
  return panel;
}

// The line g(1) / sqrt(T) through the curve's first point.
Curve square_root_reference(const Curve& gap) {
  Curve reference{.label = "∝ 1/√T", .ink = Ink::kGrey, .stroke = Stroke::kDotted, .x = gap.x};
  for (const double iteration : gap.x) {
    reference.y.push_back(gap.y.front() * std::sqrt(gap.x.front() / iteration));
  }
  return reference;
}

}  // namespace

std::string loss_plot(const std::vector<BanditRun>& runs, Family family) {
  return method_curves(runs, family, max_validation_loss, "Max validation group loss",
                       {.title = "max group loss" + loss_unit(family), .kind = ScaleKind::kLog10});
}

std::string reward_error_plot(const std::vector<BanditRun>& runs, Family family) {
  return method_curves(runs, family, max_reward_error, "Max reward error", {.title = "max reward error"});
}

std::string final_bars(const std::vector<BanditRun>& runs, Family family) {
  plot::BarChart chart{.title = "At the end"};
  chart.panels.push_back(bars_of(runs, family, max_validation_loss, "max validation group loss" + loss_unit(family)));
  chart.panels.push_back(bars_of(runs, family, max_reward_error, "max reward error"));
  return plot::draw_bar_chart(chart);
}

std::string alpha_plot(const Scenario& scenario, const std::vector<BanditRun>& runs, Family family) {
  LineChart chart{.title = "Group weights α", .x = iteration_axis()};
  chart.y = {.title = "α", .kind = ScaleKind::kLinear, .values = plot::Interval{0, 1}};
  chart.label_width = 62;
  for (const Method method : methods_of(family)) {
    const bool authors = method == Method::kGrIpoAuthors;
    if (!authors && method != robust_method(family)) continue;
    for (std::size_t g = 0; g < scenario.train_sizes_K.size(); ++g) {
      const std::string label = std::string("group ").append(std::to_string(g)).append(authors ? "†" : "");
      chart.curves.push_back(
          curve_of(label, kGroupInks[g], authors ? Stroke::kDotted : Stroke::kSolid,
                   measure_series(runs, method, [g](const Checkpoint& point) { return point.alpha_K[g]; })));
    }
  }
  return plot::draw_line_chart(chart);
}

std::string trade_off_plot(const Scenario& scenario, const std::vector<BanditRun>& runs, Family family) {
  LineChart chart{.title = std::string(scenario.title)};
  chart.x = {.title = "trade-off χ", .kind = ScaleKind::kLinear, .values = plot::Interval{0, 1}};
  chart.y = {.title = "final validation loss" + loss_unit(family)};
  const auto add = [&](std::string label, Ink ink, Stroke stroke, const Measure& measure) {
    Series series;
    for (std::size_t i = 0; i < kTradeOffs.size(); ++i) {
      series.iteration.push_back(kTradeOffs[i]);
      series.over_seeds.push_back(estimate(trade_off_values(runs, family, i, measure)));
    }
    chart.curves.push_back(curve_of(std::move(label), ink, stroke, series));
    chart.curves.back().marks = Curve::Marks::kPoints;
  };
  add("max", Ink::kVermilion, Stroke::kSolid, max_validation_loss);
  add("mean", Ink::kBlue, Stroke::kDashed, mean_validation_loss);
  return plot::draw_line_chart(chart);
}

std::string gap_plot(const Scenario& scenario, const std::vector<BanditRun>& runs, Family family) {
  LineChart chart{.title = std::string(scenario.title), .x = iteration_axis()};
  chart.x.title = "iterations T";
  chart.y = {.title = "duality gap" + loss_unit(family), .kind = ScaleKind::kLog10};
  chart.label_width = 72;
  std::vector<double> shown;
  for (const GapMethod method : kGapMethods) {
    if (family_of(method) != family) continue;
    const bool gradient = method != GapMethod::kGrIpoClosed;
    const std::string label = family == Family::kDpo ? "GR-DPO" : gradient ? "gradient" : "closed form";
    chart.curves.push_back(curve_of(label, gradient ? Ink::kGreen : Ink::kBlue,
                                    gradient ? Stroke::kSolid : Stroke::kDashed, gap_series(runs, method)));
    const Curve& curve = chart.curves.back();
    shown.insert(shown.end(), curve.y.begin(), curve.y.end());
    shown.insert(shown.end(), curve.high.begin(), curve.high.end());
  }
  chart.curves.push_back(square_root_reference(chart.curves.front()));
  shown.insert(shown.end(), chart.curves.back().y.begin(), chart.curves.back().y.end());
  // A band that comes near 0 would stretch a log axis over many decades: the axis is that of the means.
  chart.y.values = plot::interval_of(shown, ScaleKind::kLog10, 0.05);
  return plot::draw_line_chart(chart);
}

}  // namespace equipoise::reproduce
