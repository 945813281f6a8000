#include "client/reproduce/claim.h"

#include <cmath>

#include "client/plot/svg_writer.h"
#include "client/reproduce/report_markup.h"
#include "client/reproduce/significant_text.h"
#include "client/reproduce/statistics.h"
#include "client/table/csv_text.h"

namespace equipoise::reproduce {
namespace {

using plot::escape_xml;

Verdict verdict(bool holds) { return holds ? Verdict::kHolds : Verdict::kDoesNotHold; }

// With spaces that no line ends at.
std::string plus_minus(double value, double error) {
  return significant_text(value) + "\u00a0±\u00a0" + significant_text(error, 2);
}

std::string against(const PairedDifference& difference) {
  return significant_text(difference.mean_a) + " against " + significant_text(difference.mean_b) + ", difference " +
         plus_minus(difference.mean, difference.standard_error);
}

std::string finding_cell(const std::optional<Finding>& finding) {
  if (!finding) return element("td", "–");
  const bool holds = finding->verdict == Verdict::kHolds;
  return element("td", element("span", holds ? "✓ holds" : "✗ does not hold", holds ? "good" : "bad") +
                           element("span", escape_xml(finding->numbers), "note"));
}

}  // namespace

Finding judge_below(std::span<const double> a, std::span<const double> b) {
  const PairedDifference difference = paired_difference(a, b);
  return {verdict(difference.mean < -2 * difference.standard_error), against(difference)};
}

Finding judge_above(std::span<const double> a, std::span<const double> b) {
  const PairedDifference difference = paired_difference(a, b);
  return {verdict(difference.mean > 2 * difference.standard_error), against(difference)};
}

Finding judge_alike(std::span<const double> a, std::span<const double> b, double tolerance) {
  const PairedDifference difference = paired_difference(a, b);
  return {verdict(std::abs(difference.mean_a - difference.mean_b) <= tolerance * std::abs(difference.mean_b)),
          against(difference)};
}

Finding judge_above(std::span<const double> a, double bound) {
  const double error = standard_error(a);
  return {verdict(mean(a) - bound > 2 * error), plus_minus(mean(a), error)};
}

Finding judge_slope(double slope, double bound) {
  return {verdict(slope <= bound), "slope " + significant_text(slope)};
}

ClaimCount count_claims(std::span<const Claim> claims) {
  ClaimCount count;
  for (const Claim& claim : claims) {
    for (const std::optional<Finding>& finding : claim.findings) {
      if (!finding) continue;
      ++count.judged;
      if (finding->verdict == Verdict::kHolds) ++count.holding;
    }
  }
  return count;
}

std::string claims_table(std::span<const Claim> claims, std::span<const std::string> columns) {
  std::string head = element("th", "Claim, and the rule it is judged by");
  for (const std::string& column : columns) head += element("th", column);
  std::string body;
  for (const Claim& claim : claims) {
    std::string cells = element("th", escape_xml(claim.statement) + element("span", escape_xml(claim.rule), "note"));
    for (const std::optional<Finding>& finding : claim.findings) cells += finding_cell(finding);
    body += element("tr", cells);
  }
  return wide_table(head, body);
}

std::string claims_csv(std::span<const Claim> claims, const std::string& column_title,
                       std::span<const std::string> columns) {
  std::string csv = "claim,rule," + column_title + ",verdict,numbers\n";
  for (const Claim& claim : claims) {
    for (std::size_t i = 0; i < claim.findings.size(); ++i) {
      const std::optional<Finding>& finding = claim.findings[i];
      if (!finding) continue;
      add_csv_row(csv, {claim.statement, claim.rule, columns[i],
                        finding->verdict == Verdict::kHolds ? "holds" : "does not hold", finding->numbers});
    }
  }
  return csv;
}

}  // namespace equipoise::reproduce
