// The report of the language-model experiment: one HTML file with vector plots, and the numbers as CSV.
#pragma once

#include <string>
#include <vector>

#include "client/reproduce/claim.h"
#include "client/reproduce/opinion_results.h"
#include "client/reproduce/report_folder.h"

namespace equipoise::reproduce {

// A function of the results alone: no date, no path, no machine.
std::string opinion_report(const OpinionResults& results, const std::vector<Claim>& claims);

// "report.html" and the CSV files.
std::vector<ReportFile> opinion_report_files(const OpinionResults& results, const std::vector<Claim>& claims);
std::vector<std::string> opinion_report_names();

}  // namespace equipoise::reproduce
