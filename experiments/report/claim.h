// A qualitative claim, the rule it is judged by, and what the numbers say. Rules know no result.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace equipoise::reproduce {

enum class Verdict { kHolds, kDoesNotHold };

struct Finding {
  Verdict verdict = Verdict::kDoesNotHold;
  std::string numbers;  // "0.431 against 0.652, difference −0.221 ± 0.0124"
};

struct Claim {
  std::string statement;
  std::string rule;
  std::vector<std::optional<Finding>> findings;  // a column each; absent: nothing is claimed there
};

// Each takes a value a seed. A difference and its standard error are those of the pairs of one seed.

// mean(a - b) < -2 standard errors.
Finding judge_below(std::span<const double> a, std::span<const double> b);
// mean(a - b) > 2 standard errors.
Finding judge_above(std::span<const double> a, std::span<const double> b);
// |mean(a) - mean(b)| <= tolerance * |mean(b)|.
Finding judge_alike(std::span<const double> a, std::span<const double> b, double tolerance);
// mean(a) - bound > 2 standard errors.
Finding judge_above(std::span<const double> a, double bound);
// slope <= bound. NaN does not hold.
Finding judge_slope(double slope, double bound);

struct ClaimCount {
  int holding = 0;
  int judged = 0;
};
ClaimCount count_claims(std::span<const Claim> claims);

// For the terminal: a line a claim, below it a line for each finding: "holds          even_imbalanced: NUMBERS".
std::string claims_text(std::span<const Claim> claims, std::span<const std::string> columns);

// claim, rule, `column_title`, verdict, numbers: a line each finding.
std::string claims_csv(std::span<const Claim> claims, const std::string& column_title,
                       std::span<const std::string> columns);

}  // namespace equipoise::reproduce
