// What `equipoise reproduce` ends with: the claims as they were judged, and where the report is.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/report/claim.h"

namespace equipoise::reproduce {

struct Reproduction {
  std::vector<Claim> claims;
  std::string column_title;          // of their findings: "scenario"
  std::vector<std::string> columns;  // a name for each
  std::uint64_t seeds = 0;
  std::chrono::seconds took{0};
  std::string report;  // the page
};

// For people: claims_text(), how many hold, the report.
std::string reproduction_text(const Reproduction& reproduction);

// {"report", "seeds", "seconds", "holding", "judged", "claims": [{"claim", "rule", "findings": [{COLUMN_TITLE, "holds",
// "numbers"}]}]}. `holding` and `judged` count findings.
std::string reproduction_json(const Reproduction& reproduction);

}  // namespace equipoise::reproduce
