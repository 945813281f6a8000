#include "experiments/report/reproduction.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "client/table/json_document.h"
#include "client/table/number_format.h"

namespace equipoise::reproduce {

std::string reproduction_text(const Reproduction& reproduction) {
  const ClaimCount count = count_claims(reproduction.claims);
  return claims_text(reproduction.claims, reproduction.columns) + std::to_string(count.holding) + " of " +
         std::to_string(count.judged) + " checks hold; " + std::to_string(reproduction.seeds) + " seeds in " +
         duration_text(reproduction.took) + "\n" + reproduction.report + "\n";
}

std::string reproduction_json(const Reproduction& reproduction) {
  using Json = nlohmann::ordered_json;
  Json claims = Json::array();
  for (const Claim& claim : reproduction.claims) {
    Json findings = Json::array();
    for (std::size_t i = 0; i < claim.findings.size(); ++i) {
      const std::optional<Finding>& finding = claim.findings[i];
      if (!finding) continue;
      findings.push_back({{reproduction.column_title, reproduction.columns.at(i)},
                          {"holds", finding->verdict == Verdict::kHolds},
                          {"numbers", finding->numbers}});
    }
    claims.push_back({{"claim", claim.statement}, {"rule", claim.rule}, {"findings", std::move(findings)}});
  }
  const ClaimCount count = count_claims(reproduction.claims);
  return json_document({{"report", reproduction.report},
                        {"seeds", reproduction.seeds},
                        {"seconds", reproduction.took.count()},
                        {"holding", count.holding},
                        {"judged", count.judged},
                        {"claims", std::move(claims)}});
}

}  // namespace equipoise::reproduce
