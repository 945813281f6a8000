// The paper's qualitative claims about the synthetic experiments, and the rules by which the results hold them or not.
// The rules stand here and in the report. They know no result: what the numbers say is decided by these alone.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/reproduce/bandit_runner.h"

namespace equipoise::reproduce {

enum class Verdict { kHolds, kDoesNotHold };

struct Finding {
  Verdict verdict = Verdict::kDoesNotHold;
  std::string numbers;  // "0.431 against 0.652, difference −0.221 ± 0.0124"
};

struct Claim {
  std::string statement;
  std::string rule;
  std::vector<std::optional<Finding>> by_scenario;  // absent: nothing is claimed there
};

// Each takes a value a seed. A difference and its standard error are those of the pairs of one seed.

// mean(a - b) < -2 standard errors.
Finding judge_below(std::span<const double> a, std::span<const double> b);
// |mean(a) - mean(b)| <= tolerance * |mean(b)|.
Finding judge_alike(std::span<const double> a, std::span<const double> b, double tolerance);
// mean(a) - bound > 2 standard errors.
Finding judge_above(std::span<const double> a, double bound);
// slope <= bound. NaN does not hold.
Finding judge_slope(double slope, double bound);

std::vector<Claim> judge_bandits(const BanditResults& results);

struct ClaimCount {
  int holding = 0;
  int judged = 0;
};
ClaimCount count_claims(std::span<const Claim> claims);

}  // namespace equipoise::reproduce
