#include "experiments/bandits/bandit_series.h"

#include <cmath>

namespace equipoise::reproduce {
namespace {

template <class Value>
std::vector<double> over_seeds(const std::vector<BanditRun>& runs, Value value) {
  std::vector<double> values;
  for (const BanditRun& run : runs) values.push_back(value(run));
  return values;
}

std::size_t index(auto name) { return static_cast<std::size_t>(name); }

}  // namespace

std::vector<double> final_values(const std::vector<BanditRun>& runs, Method method, const Measure& measure) {
  return over_seeds(runs, [&](const BanditRun& run) { return measure(run.methods[index(method)].back()); });
}

std::vector<double> trade_off_values(const std::vector<BanditRun>& runs, Family family, std::size_t trade_off,
                                     const Measure& measure) {
  return over_seeds(runs, [&](const BanditRun& run) { return measure(run.trade_off[index(family)][trade_off]); });
}

Series measure_series(const std::vector<BanditRun>& runs, Method method, const Measure& measure) {
  Series series;
  const Trajectory& first = runs.front().methods[index(method)];
  for (std::size_t i = 1; i < first.size(); ++i) {
    series.iteration.push_back(static_cast<double>(first[i].iteration));
    series.over_seeds.push_back(
        estimate(over_seeds(runs, [&](const BanditRun& run) { return measure(run.methods[index(method)][i]); })));
  }
  return series;
}

Series gap_series(const std::vector<BanditRun>& runs, GapMethod method) {
  Series series;
  const GapTrajectory& first = runs.front().gaps[index(method)];
  for (std::size_t i = 0; i < first.size(); ++i) {
    series.iteration.push_back(static_cast<double>(first[i].iteration));
    series.over_seeds.push_back(
        estimate(over_seeds(runs, [&](const BanditRun& run) { return run.gaps[index(method)][i].gap; })));
  }
  return series;
}

double gap_slope(const Series& gap) {
  std::vector<double> log_iteration;
  std::vector<double> log_gap;
  for (std::size_t i = 0; i < gap.iteration.size(); ++i) {
    if (gap.iteration[i] * 100 < gap.iteration.back()) continue;
    log_iteration.push_back(std::log10(gap.iteration[i]));
    log_gap.push_back(std::log10(gap.over_seeds[i].mean));
  }
  return fitted_slope(log_iteration, log_gap);
}

}  // namespace equipoise::reproduce
