// report.html of a run: one file with the charts of the coordinator's page, which needs no network and no service.
#pragma once

#include <string>

#include "common/summary/run_summary.h"

namespace equipoise {

inline constexpr const char* kReportName = "report.html";  // in the output

// A page whose policy (a Content-Security-Policy in it) lets only its own script and style run, by their SHA-256, and
// nothing be fetched. It has the curves of the 32 groups that are worst off, 400 points each, and a table of 5000.
std::string report_page(const RunSummary& summary);

}  // namespace equipoise
