#include "experiments/report/report_page.h"

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "experiments/report/report_files.h"

namespace equipoise::reproduce {
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
