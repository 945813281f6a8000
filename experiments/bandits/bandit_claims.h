// The paper's qualitative claims about the synthetic experiments, and the rules by which the results hold them or not.
// The rules stand here and in the report. They know no result: what the numbers say is decided by these alone.
#pragma once

#include <vector>

#include "experiments/bandits/bandit_runner.h"
#include "experiments/report/claim.h"

namespace equipoise::reproduce {

// A finding for each of paper_scenarios().
std::vector<Claim> judge_bandits(const BanditResults& results);

}  // namespace equipoise::reproduce
