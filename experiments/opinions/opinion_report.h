// The report of the language-model experiment: one HTML file, and the numbers as CSV, which read back to the same bits.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/opinions/opinion_results.h"
#include "experiments/report/claim.h"
#include "experiments/report/report_page.h"

namespace equipoise::reproduce {

// Per method (SFT too), seed, evaluation and group: what metrics.jsonl says of the validation pairs. SFT has no
// accuracies.
std::string opinion_evaluations_csv(const OpinionResults& results);
// Per method, seed, step and group: alpha after the step.
std::string opinion_weights_csv(const OpinionResults& results);
// Per method and measure: the end of the runs over seeds.
std::string opinion_summary_csv(const OpinionResults& results);
std::string opinion_claims_csv(std::span<const Claim> claims);

// A function of the results alone: no date, no path, no machine.
std::string opinion_report(const OpinionResults& results, const std::vector<Claim>& claims);

// "report.html" and the CSV files.
std::vector<ReportFile> opinion_report_files(const OpinionResults& results, const std::vector<Claim>& claims);
std::vector<std::string> opinion_report_names();

}  // namespace equipoise::reproduce
