// The report of the bandit experiment: one HTML file, and the numbers as CSV.
#pragma once

#include <string>
#include <vector>

#include "experiments/bandits/bandit_claims.h"
#include "experiments/bandits/bandit_runner.h"
#include "experiments/report/report_folder.h"

namespace equipoise::reproduce {

// A function of the results alone: no date, no path, no machine.
std::string bandit_report(const BanditResults& results, const std::vector<Claim>& claims);

// "report.html" and the CSV files.
std::vector<ReportFile> bandit_report_files(const BanditResults& results, const std::vector<Claim>& claims);
std::vector<std::string> bandit_report_names();

}  // namespace equipoise::reproduce
