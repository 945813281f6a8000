#include "experiments/report/report_page.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "common/base/durable_file.h"
#include "common/base/error.h"
#include "common/base/message_text.h"

namespace equipoise::reproduce {
namespace {

namespace fs = std::filesystem;

fs::path without_trailing_slash(const fs::path& folder) {
  if (folder.empty()) throw std::invalid_argument("output is \"\", expected the name of a folder");
  const fs::path plain = fs::absolute(folder).lexically_normal();
  return plain.has_filename() ? plain : plain.parent_path();
}

DurableFolder folder_beside(const fs::path& place) {
  std::error_code ignored;  // DurableFolder says what is wrong
  fs::create_directories(place.parent_path(), ignored);
  return DurableFolder(place, DurableFolder::Earlier::kReplaced);
}

std::vector<std::string> names_of(const std::vector<ReportFile>& files) {
  std::vector<std::string> names;
  for (const ReportFile& file : files) names.push_back(file.name);
  return names;
}

}  // namespace

void check_report_folder(const fs::path& folder, const std::vector<std::string>& names) {
  const fs::path place = without_trailing_slash(folder);
  std::error_code fault;
  if (fs::exists(fs::symlink_status(place, fault)) && !fs::is_directory(fs::symlink_status(place, fault))) {
    throw std::invalid_argument(folder.string() + ": is no folder, expected a new one or an earlier report");
  }
  if (fs::is_directory(place, fault)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(place)) {
      if (std::find(names.begin(), names.end(), entry.path().filename().string()) != names.end()) continue;
      throw std::invalid_argument(folder.string() + ": holds " + quoted_text(entry.path().filename().string()) +
                                  ", which is not of a report; name a new folder, an empty one or an earlier report");
    }
  }
  const DurableFolder can_be_made = folder_beside(place);
}

void write_report_folder(const fs::path& folder, const std::vector<ReportFile>& files) {
  check_report_folder(folder, names_of(files));
  DurableFolder aside = folder_beside(without_trailing_slash(folder));
  for (const ReportFile& file : files) write_durably(aside / file.name, file.content);
  aside.commit();
}

namespace {

using Json = nlohmann::json;

// In a string of JSON "<" may be written so; elsewhere JSON has none.
std::string json_for_a_script(const Json& results) {
  std::string text;
  for (const char character : results.dump(-1, ' ', false, Json::error_handler_t::replace)) {
    if (character == '<') {
      text += "\\u003c";
    } else {
      text += character;
    }
  }
  return text;
}

}  // namespace

std::string report_page(std::string_view page, const Json& results) {
  constexpr std::string_view kOpen = "{{", kClose = "}}";
  std::string_view rest = report_file(page);
  std::string text;
  // What is put in is not looked through: it may hold anything.
  for (std::size_t open = rest.find(kOpen); open != std::string_view::npos; open = rest.find(kOpen)) {
    text += rest.substr(0, open);
    rest.remove_prefix(open + kOpen.size());
    const std::size_t close = rest.find(kClose);
    EQUIPOISE_CHECK(close != std::string_view::npos);
    const std::string_view name = rest.substr(0, close);
    text += name == "results" ? json_for_a_script(results) : std::string(report_file(name));
    rest.remove_prefix(close + kClose.size());
  }
  return text.append(rest);
}

Json estimate_json(const Estimate& estimate) {
  return {{"mean", estimate.mean},
          {"standard_error", estimate.standard_error},
          {"low", estimate.low},
          {"high", estimate.high}};
}

Json series_json(const Series& series) {
  Json mean = Json::array(), low = Json::array(), high = Json::array();
  for (const Estimate& estimate : series.over_seeds) {
    mean.push_back(estimate.mean);
    low.push_back(estimate.low);
    high.push_back(estimate.high);
  }
  return {{"mean", mean}, {"low", low}, {"high", high}};
}

Json claims_json(std::span<const Claim> claims) {
  Json all = Json::array();
  for (const Claim& claim : claims) {
    Json findings = Json::array();
    for (const std::optional<Finding>& finding : claim.findings) {
      findings.push_back(finding ? Json{{"holds", finding->verdict == Verdict::kHolds}, {"numbers", finding->numbers}}
                                 : Json());
    }
    all.push_back({{"statement", claim.statement}, {"rule", claim.rule}, {"findings", findings}});
  }
  return all;
}

Json checks_json(std::span<const Claim> claims) {
  const ClaimCount count = count_claims(claims);
  return {{"holding", count.holding}, {"judged", count.judged}};
}

}  // namespace equipoise::reproduce
