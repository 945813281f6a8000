#include "experiments/report/claim.h"

#include <cmath>

#include "client/table/text_table.h"
#include "experiments/report/statistics.h"

namespace equipoise::reproduce {
namespace {

Verdict verdict(bool holds) { return holds ? Verdict::kHolds : Verdict::kDoesNotHold; }

// With spaces that no line ends at.
std::string plus_minus(double value, double error) {
  return significant_text(value) + "\u00a0±\u00a0" + significant_text(error, 2);
}

std::string against(const PairedDifference& difference) {
  return significant_text(difference.mean_a) + " against " + significant_text(difference.mean_b) + ", difference " +
         plus_minus(difference.mean, difference.standard_error);
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

std::string claims_text(std::span<const Claim> claims, std::span<const std::string> columns) {
  std::string text;
  for (const Claim& claim : claims) {
    text += claim.statement + "\n";
    for (std::size_t i = 0; i < claim.findings.size(); ++i) {
      const std::optional<Finding>& finding = claim.findings[i];
      if (!finding) continue;
      const bool holds = finding->verdict == Verdict::kHolds;
      text += (holds ? "  holds          " : "  does not hold  ") + columns[i] + ": " + finding->numbers + "\n";
    }
  }
  return text;
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
