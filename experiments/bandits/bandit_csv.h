// The numbers behind the report, as RFC 4180 has it but with "\n". Numbers read back to the same bits.
#pragma once

#include <span>
#include <string>

#include "experiments/bandits/bandit_claims.h"
#include "experiments/bandits/bandit_runner.h"

namespace equipoise::reproduce {

// Per scenario, method, seed and checkpoint: losses, reward errors and alpha of each group, and the largest.
std::string curves_csv(const BanditResults& results);
// The same over seeds: mean, standard error and confidence interval of the largest loss and the largest reward error.
std::string summary_csv(const BanditResults& results);
// Per scenario, family, chi and seed: the end of the run.
std::string trade_off_csv(const BanditResults& results);
std::string duality_gap_csv(const BanditResults& results);
std::string settings_csv(const BanditOptions& options);
std::string claims_csv(std::span<const Claim> claims);

}  // namespace equipoise::reproduce
