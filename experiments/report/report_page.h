// A report as one file that needs no network: an experiment's page with its results, style, script and the charting
// library inside. The words, the tables and the charts are the page's (experiments/*/*.html and report.js).
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/report/claim.h"
#include "experiments/report/statistics.h"

namespace equipoise::reproduce {

// The files that the build puts into the program: the reports' pages, style and script, and the charting library.

// `name`: one of those in CMakeLists.txt, without its folder; any other is our bug.
std::string_view report_file(std::string_view name);

// A folder of files that is there whole or not at all.
struct ReportFile {
  std::string name;  // a plain name, no folder
  std::string content;
};

// Says early what write_report_folder() would say. `folder` may be absent, empty, or an earlier report: a folder that
// holds files of these names only. Throws std::invalid_argument naming what stands in the way.
void check_report_folder(const std::filesystem::path& folder, const std::vector<std::string>& names);

// Writes all files aside, then puts the folder in its place with one rename; an earlier report is exchanged for it.
// Throws as check_report_folder does, and std::runtime_error where the disk refuses; `folder` is then as it was.
void write_report_folder(const std::filesystem::path& folder, const std::vector<ReportFile>& files);

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
