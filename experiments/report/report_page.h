// A report as one file that needs no network: an experiment's page with its results, style, script and the charting
// library inside. The words, the tables and the charts are the page's (experiments/*/*.html and report.js).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "experiments/report/claim.h"
#include "experiments/report/series.h"

namespace equipoise::reproduce {

// `page`: "bandits.html" or "opinions.html", in which each {{NAME}} becomes the file of that name, and {{results}} the
// results as JSON that no text of them can end.
std::string report_page(std::string_view page, const nlohmann::json& results);

// The pieces of the results that both pages know. A number that is not finite is null.
//   estimate  {mean, standard_error, low, high}
//   series    {mean, low, high}, each a list
//   claims    [{statement, rule, findings: [{holds, numbers} or null]}]
//   checks    {holding, judged}
nlohmann::json estimate_json(const Estimate& estimate);
nlohmann::json series_json(const Series& series);
nlohmann::json claims_json(std::span<const Claim> claims);
nlohmann::json checks_json(std::span<const Claim> claims);

}  // namespace equipoise::reproduce
