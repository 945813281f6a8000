// The pictures of the bandit report.
#pragma once

#include <string>
#include <vector>

#include "client/reproduce/bandit_series.h"

namespace equipoise::reproduce {

// One scenario, one family, in the paper's order.
std::string loss_plot(const std::vector<BanditRun>& runs, Family family);
std::string reward_error_plot(const std::vector<BanditRun>& runs, Family family);
std::string final_bars(const std::vector<BanditRun>& runs, Family family);
std::string alpha_plot(const Scenario& scenario, const std::vector<BanditRun>& runs, Family family);

std::string trade_off_plot(const Scenario& scenario, const std::vector<BanditRun>& runs, Family family);
std::string gap_plot(const Scenario& scenario, const std::vector<BanditRun>& runs, Family family);

}  // namespace equipoise::reproduce
