// The report of the bandit experiment: one HTML file with vector plots, and the numbers as CSV.
#pragma once

#include <string>
#include <vector>

#include "client/reproduce/bandit_claims.h"
#include "client/reproduce/bandit_runner.h"
#include "client/reproduce/report_folder.h"

namespace equipoise::reproduce {

// A function of the results alone: no date, no path, no machine.
std::string bandit_report(const BanditResults& results, const std::vector<Claim>& claims);

// "report.html" and the CSV files.
std::vector<ReportFile> bandit_report_files(const BanditResults& results, const std::vector<Claim>& claims);
std::vector<std::string> bandit_report_names();

}  // namespace equipoise::reproduce
