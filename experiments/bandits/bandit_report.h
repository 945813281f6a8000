// The report of the bandit experiment: one HTML file, and the numbers as CSV (RFC 4180, but with "\n"), which read back
// to the same bits.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/bandits/bandit_claims.h"
#include "experiments/bandits/bandit_run.h"
#include "experiments/report/report_page.h"

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

// A function of the results alone: no date, no path, no machine.
std::string bandit_report(const BanditResults& results, const std::vector<Claim>& claims);

// "report.html" and the CSV files.
std::vector<ReportFile> bandit_report_files(const BanditResults& results, const std::vector<Claim>& claims);
std::vector<std::string> bandit_report_names();

}  // namespace equipoise::reproduce
