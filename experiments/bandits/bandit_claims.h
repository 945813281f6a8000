// The paper's qualitative claims about the synthetic experiments, and the rules by which the results hold them or not.
// The rules stand here and in the report. They know no result: what the numbers say is decided by these alone.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "experiments/bandits/bandit_run.h"
#include "experiments/report/claim.h"
#include "experiments/report/statistics.h"

namespace equipoise::reproduce {

// What reports, files and claims read out of the results: one number a seed.

using Measure = std::function<double(const Checkpoint&)>;

// The measure at the end of the method's run, a value a seed.
std::vector<double> final_values(const std::vector<BanditRun>& runs, Method method, const Measure& measure);
std::vector<double> trade_off_values(const std::vector<BanditRun>& runs, Family family, std::size_t trade_off,
                                     const Measure& measure);
// Iterations from 1 on.
Series measure_series(const std::vector<BanditRun>& runs, Method method, const Measure& measure);
Series gap_series(const std::vector<BanditRun>& runs, GapMethod method);

// The slope of log10(mean gap) over log10(T), fitted to the last two decades, T >= T_last / 100. NaN where the gap
// reached 0 to rounding before.
double gap_slope(const Series& gap);

// A finding for each of paper_scenarios().
std::vector<Claim> judge_bandits(const BanditResults& results);

}  // namespace equipoise::reproduce
