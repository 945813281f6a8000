#include "client/reproduce/opinion_plots.h"

#include <algorithm>
#include <array>

#include "client/plot/bar_chart.h"
#include "client/plot/line_chart.h"
#include "client/reproduce/significant_text.h"

namespace equipoise::reproduce {
namespace {

using plot::AxisSpec;
using plot::BarChart;
using plot::BarPanel;
using plot::Ink;
using plot::LineChart;
using plot::ScaleKind;
using plot::Stroke;

constexpr std::size_t kMostPoints = 150;  // of a curve: more than can be told apart
constexpr std::size_t kLabelCharacters = 13;
constexpr double kGroupLabelWidth = 92;  // for that many characters
constexpr double kPanelFurniture = 44;   // tick labels and axis title below the bars
constexpr double kBarHeight = 17;

std::string loss_unit(Family family) { return family == Family::kDpo ? " (nats)" : ""; }

// Names of groups come from a file and may be long.
std::string short_label(const std::string& name) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(name[i]) & 0xC0) != 0x80;
    if (begins && ++characters > kLabelCharacters) return name.substr(0, i) + "…";
  }
  return name;
}

std::vector<Method> methods_of(Family family) {
  return {plain_method(family), importance_method(family), robust_method(family)};
}

Series thinned(const Series& series) {
  const std::size_t count = series.iteration.size();
  if (count <= kMostPoints) return series;
  Series thin;
  for (std::size_t i = 0; i < kMostPoints; ++i) {
    const std::size_t at = i * (count - 1) / (kMostPoints - 1);
    thin.iteration.push_back(series.iteration[at]);
    thin.over_seeds.push_back(series.over_seeds[at]);
  }
  return thin;
}

// A confidence interval of a share ends at 0 and 1.
Estimate within_share(Estimate estimate) {
  estimate.low = std::clamp(estimate.low, 0.0, 1.0);
  estimate.high = std::clamp(estimate.high, 0.0, 1.0);
  return estimate;
}

enum class Unit { kLoss, kShare };

plot::Curve share_curve(std::string label, Ink ink, Stroke stroke, Series series) {
  for (Estimate& point : series.over_seeds) point = within_share(point);
  return curve_of(std::move(label), ink, stroke, series);
}

std::string method_curves(const OpinionResults& results, Family family, const OpinionMeasure& measure, Unit unit,
                          std::string title, AxisSpec y) {
  LineChart chart{.title = std::move(title), .x = {.title = "step"}, .y = std::move(y)};
  for (const Method method : methods_of(family)) {
    const Series series = thinned(measure_series(results.of(method), measure));
    const std::string label(method_label(method));
    chart.curves.push_back(unit == Unit::kShare ? share_curve(label, method_ink(method), method_stroke(method), series)
                                                : curve_of(label, method_ink(method), method_stroke(method), series));
  }
  return plot::draw_line_chart(chart);
}

plot::Bar bar_of(std::string label, Ink ink, const std::vector<double>& values, Unit unit) {
  const Estimate over_seeds = unit == Unit::kShare ? within_share(estimate(values)) : estimate(values);
  return {std::move(label), ink, over_seeds.mean, over_seeds.low, over_seeds.high, significant_text(over_seeds.mean)};
}

BarPanel method_bars(const OpinionResults& results, Family family, const OpinionMeasure& measure, Unit unit,
                     std::string title) {
  BarPanel panel{std::move(title), {}};
  for (const Method method : methods_of(family)) {
    panel.bars.push_back(
        bar_of(std::string(method_label(method)), method_ink(method), final_values(results.of(method), measure), unit));
  }
  return panel;
}

// values(g): of group g, one a seed.
template <typename Values>
BarPanel group_bars(const OpinionResults& results, Unit unit, std::string title, Values values) {
  BarPanel panel{std::move(title), {}};
  for (std::size_t g = 0; g < results.groups.size(); ++g) {
    panel.bars.push_back(bar_of(short_label(results.groups[g]), group_ink(g), values(g), unit));
  }
  return panel;
}

BarChart group_chart(const OpinionResults& results, std::string title, std::size_t panels) {
  BarChart chart{.title = std::move(title)};
  chart.label_width = kGroupLabelWidth;
  const double bars = kBarHeight * static_cast<double>(results.groups.size());
  chart.size.height = 26 + static_cast<double>(panels) * (bars + kPanelFurniture);
  return chart;
}

}  // namespace

Ink group_ink(std::size_t group) {
  constexpr std::array kInks{Ink::kVermilion, Ink::kBlue, Ink::kGreen, Ink::kPurple,
                             Ink::kOrange,    Ink::kSky,  Ink::kGrey};
  return kInks[group % kInks.size()];
}

Stroke group_stroke(std::size_t group) {
  constexpr std::array kStrokes{Stroke::kSolid, Stroke::kDashed, Stroke::kDotted, Stroke::kDashDotted};
  return kStrokes[group % kStrokes.size()];
}

std::string opinion_loss_plot(const OpinionResults& results, Family family) {
  return method_curves(results, family, max_group_loss, Unit::kLoss, "Max group loss (validation)",
                       {.title = "max group loss" + loss_unit(family)});
}

std::string opinion_reward_accuracy_plot(const OpinionResults& results, Family family) {
  return method_curves(results, family, min_reward_accuracy, Unit::kShare, "Min group reward accuracy",
                       {.title = "chosen reward above rejected"});
}

std::string opinion_log_prob_accuracy_plot(const OpinionResults& results, Family family) {
  return method_curves(results, family, min_log_prob_accuracy, Unit::kShare, "Min group log-prob accuracy",
                       {.title = "chosen log-prob above rejected"});
}

std::string opinion_alpha_plot(const OpinionResults& results, Family family) {
  const Method method = robust_method(family);
  LineChart chart{.title = "Group weights α of " + std::string(method_name(method)), .x = {.title = "step"}};
  chart.y = {.title = "α"};
  chart.label_width = kGroupLabelWidth;
  for (std::size_t g = 0; g < results.groups.size(); ++g) {
    chart.curves.push_back(share_curve(short_label(results.groups[g]), group_ink(g), group_stroke(g),
                                       thinned(weight_series(results.of(method), g))));
  }
  return plot::draw_line_chart(chart);
}

std::string opinion_final_bars(const OpinionResults& results, Family family) {
  BarChart chart{.title = "At the end"};
  chart.panels.push_back(
      method_bars(results, family, max_group_loss, Unit::kLoss, "max group loss" + loss_unit(family)));
  chart.panels.push_back(method_bars(results, family, min_reward_accuracy, Unit::kShare, "min group reward accuracy"));
  return plot::draw_bar_chart(chart);
}

std::string opinion_group_loss_bars(const OpinionResults& results, Family family) {
  BarChart chart = group_chart(results, "Group losses at the end", methods_of(family).size());
  for (const Method method : methods_of(family)) {
    chart.panels.push_back(group_bars(results, Unit::kLoss,
                                      std::string(method_name(method)) + ": loss" + loss_unit(family),
                                      [&](std::size_t g) { return final_values(results.of(method), loss_of(g)); }));
  }
  return plot::draw_bar_chart(chart);
}

std::string opinion_log_prob_bars(const OpinionResults& results, Family family) {
  const Method plain = plain_method(family);
  const Method robust = robust_method(family);
  BarChart chart = group_chart(results, "Log-prob accuracy by group", 3);
  chart.panels.push_back(group_bars(results, Unit::kShare, "start (after SFT)", [&](std::size_t g) {
    return start_values(results.of(plain), log_prob_accuracy_of(g));
  }));
  for (const Method method : {plain, robust}) {
    chart.panels.push_back(
        group_bars(results, Unit::kShare, "end of " + std::string(method_name(method)),
                   [&](std::size_t g) { return final_values(results.of(method), log_prob_accuracy_of(g)); }));
  }
  return plot::draw_bar_chart(chart);
}

}  // namespace equipoise::reproduce
