// The report of the language-model experiment: one HTML file, and the numbers as CSV.
#pragma once

#include <string>
#include <vector>

#include "experiments/opinions/opinion_results.h"
#include "experiments/report/claim.h"
#include "experiments/report/report_folder.h"

namespace equipoise::reproduce {

// A function of the results alone: no date, no path, no machine.
std::string opinion_report(const OpinionResults& results, const std::vector<Claim>& claims);

// "report.html" and the CSV files.
std::vector<ReportFile> opinion_report_files(const OpinionResults& results, const std::vector<Claim>& claims);
std::vector<std::string> opinion_report_names();

}  // namespace equipoise::reproduce
