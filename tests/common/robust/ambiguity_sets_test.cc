#include "common/robust/ambiguity_sets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "common/base/split_mix64.h"

namespace equipoise {
namespace ambiguity_sets_test {

constexpr double kRounding = 1e-12;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Groups {
  std::vector<double> loss_K, share_K;
  operator GroupRisk() const { return {loss_K, share_K}; }
};

// Losses in [0, 3) and shares of a few groups, the same on every machine.
Groups random_groups(std::uint64_t seed) {
  SplitMix64 random(seed);
  Groups groups;
  for (std::uint64_t g = 0; g < 2 + random.below(6); ++g) {
    groups.loss_K.push_back(3 * random.uniform());
    groups.share_K.push_back(0.05 + random.uniform());
  }
  const double total = std::accumulate(groups.share_K.begin(), groups.share_K.end(), 0.0);
  for (double& share : groups.share_K) share /= total;
  return groups;
}

double value(const std::vector<double>& weight_K, const Groups& groups) {
  return std::inner_product(weight_K.begin(), weight_K.end(), groups.loss_K.begin(), 0.0);
}

// Smallest value of a convex function on [low, high], by golden-section search.
double minimum(const std::function<double(double)>& function, double low, double high) {
  const double ratio = (std::sqrt(5.0) - 1) / 2;
  for (int i = 0; i < 200; ++i) {
    const double left = high - ratio * (high - low), right = low + ratio * (high - low);
    (function(left) < function(right) ? high : low) = function(left) < function(right) ? right : left;
  }
  return function((low + high) / 2);
}

void expect_distribution(const std::vector<double>& weight_K) {
  EXPECT_NEAR(std::accumulate(weight_K.begin(), weight_K.end(), 0.0), 1, kRounding);
  for (const double weight : weight_K) EXPECT_GE(weight, 0);
}

double distance(const std::vector<double>& weight_K, const Groups& groups) {
  double sum = 0;
  for (std::size_t g = 0; g < weight_K.size(); ++g) {
    sum += groups.share_K[g] * std::pow(weight_K[g] / groups.share_K[g] - 1, 2) / 2;
  }
  return sum;
}

TEST(Cvar, FillsThePopulationFromTheWorstGroupDown) {
  const Groups groups{{1, 3, 2}, {0.5, 0.2, 0.3}};
  const std::vector<double> weight_K = cvar_weights(groups, 0.4);
  EXPECT_NEAR(weight_K[0], 0, kRounding);
  EXPECT_NEAR(weight_K[1], 0.2 / 0.4, kRounding);
  EXPECT_NEAR(weight_K[2], 0.2 / 0.4, kRounding);
}

// Rockafellar and Uryasev: CVaR = min over eta of eta + E[(L - eta)+] / kappa.
TEST(Cvar, ReachesItsDualValue) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Groups groups = random_groups(seed);
    for (const double kappa : {0.05, 0.3, 0.7, 1.0}) {
      const auto dual = [&](double eta) {
        double excess = 0;
        for (std::size_t g = 0; g < groups.loss_K.size(); ++g) {
          excess += groups.share_K[g] * std::max(groups.loss_K[g] - eta, 0.0);
        }
        return eta + excess / kappa;
      };
      const std::vector<double> weight_K = cvar_weights(groups, kappa);
      expect_distribution(weight_K);
      for (std::size_t g = 0; g < weight_K.size(); ++g) EXPECT_LE(weight_K[g], groups.share_K[g] / kappa + kRounding);
      EXPECT_NEAR(value(weight_K, groups), minimum(dual, -1, 4), 1e-9);
    }
  }
}

// Duchi and Namkoong: the value is min over eta of sqrt(1 + 2 rho) * sqrt(E[(L - eta)+^2]) + eta.
TEST(ChiSquare, ReachesItsDualValueWithinItsRadius) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Groups groups = random_groups(seed);
    for (const double rho : {0.01, 0.2, 1.0, 5.0}) {
      const auto dual = [&](double eta) {
        double squares = 0;
        for (std::size_t g = 0; g < groups.loss_K.size(); ++g) {
          squares += groups.share_K[g] * std::pow(std::max(groups.loss_K[g] - eta, 0.0), 2);
        }
        return std::sqrt((1 + 2 * rho) * squares) + eta;
      };
      const std::vector<double> weight_K = chi_square_weights(groups, rho);
      expect_distribution(weight_K);
      EXPECT_LE(distance(weight_K, groups), rho + 1e-9);
      EXPECT_NEAR(value(weight_K, groups), minimum(dual, -50, 4), 1e-7);
    }
  }
}

TEST(ChiSquare, NearTheSharesIsMeanPlusStandardDeviation) {
  const Groups groups{{1, 2}, {0.5, 0.5}};  // mean 1.5, standard deviation 0.5
  EXPECT_NEAR(value(chi_square_weights(groups, 0.02), groups), 1.5 + std::sqrt(2 * 0.02) * 0.5, kRounding);
}

// The entropic risk: max of sum w L - tau KL(w, p) is tau * log E[exp(L / tau)].
TEST(Kl, ReachesItsDualValue) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Groups groups = random_groups(seed);
    for (const double tau : {0.1, 1.0, 10.0}) {
      const std::vector<double> weight_K = kl_weights(groups, tau);
      expect_distribution(weight_K);
      double divergence = 0, moment = 0;
      for (std::size_t g = 0; g < weight_K.size(); ++g) {
        divergence += weight_K[g] * std::log(weight_K[g] / groups.share_K[g]);
        moment += groups.share_K[g] * std::exp(groups.loss_K[g] / tau);
      }
      EXPECT_NEAR(value(weight_K, groups) - tau * divergence, tau * std::log(moment), 1e-9);
    }
  }
}

using WeightsOf = std::function<std::vector<double>(const GroupRisk&)>;

struct AmbiguityCase {
  std::string name;
  WeightsOf weights_of;   // at a middling parameter
  WeightsOf share_limit;  // where the set is the shares alone
  WeightsOf worst_limit;  // where it reaches the worst group
};

class AmbiguitySet : public testing::TestWithParam<AmbiguityCase> {};

TEST_P(AmbiguitySet, KeepsTheRatioOfSharesBetweenEqualLosses) {
  const Groups groups{{2, 5, 2, 2, 1}, {0.1, 0.1, 0.2, 0.4, 0.2}};
  const std::vector<double> weight_K = GetParam().weights_of(groups);
  EXPECT_GT(weight_K[0], 0);
  EXPECT_NEAR(weight_K[2], 2 * weight_K[0], kRounding);
  EXPECT_NEAR(weight_K[3], 4 * weight_K[0], kRounding);
}

TEST_P(AmbiguitySet, FollowsAPermutationAndIgnoresAShiftOfTheLosses) {
  const Groups groups{{2, 5, 3}, {0.5, 0.2, 0.3}}, permuted{{103, 102, 105}, {0.3, 0.5, 0.2}};
  const std::vector<double> weight_K = GetParam().weights_of(groups), permuted_K = GetParam().weights_of(permuted);
  EXPECT_NEAR(permuted_K[0], weight_K[2], kRounding);
  EXPECT_NEAR(permuted_K[1], weight_K[0], kRounding);
  EXPECT_NEAR(permuted_K[2], weight_K[1], kRounding);
}

TEST_P(AmbiguitySet, EqualLossesGiveTheShares) {
  const Groups groups{{2, 2}, {0.25, 0.75}};
  EXPECT_NEAR(GetParam().weights_of(groups)[0], 0.25, kRounding);
  // Sums over the same losses in another order.
  const double above = std::nextafter(2.0, 3.0);
  EXPECT_NEAR(GetParam().weights_of(Groups{{2, above}, {0.25, 0.75}})[0], 0.25, kRounding);
  EXPECT_NEAR(GetParam().weights_of(Groups{{above, 2}, {0.25, 0.75}})[0], 0.25, kRounding);
}

TEST_P(AmbiguitySet, ReachesFromTheSharesToTheWorstGroup) {
  const Groups groups{{2, 5, 3}, {0.5, 0.2, 0.3}};
  for (std::size_t g = 0; g < 3; ++g) EXPECT_NEAR(GetParam().share_limit(groups)[g], groups.share_K[g], 1e-6);
  EXPECT_NEAR(GetParam().worst_limit(groups)[1], 1, kRounding);
}

TEST_P(AmbiguitySet, StaysADistributionForHugeLosses) {
  constexpr double kHuge = std::numeric_limits<double>::max();
  const std::vector<double> weight_K = GetParam().weights_of(Groups{{kHuge, -kHuge, 0}, {0.2, 0.5, 0.3}});
  expect_distribution(weight_K);
  EXPECT_GT(weight_K[0], 0.2 + 1e-3);  // and the worst group still gains
}

TEST_P(AmbiguitySet, RefusesWhatIsNotARisk) {
  const auto refuses = [](const Groups& groups) { EXPECT_THROW(GetParam().weights_of(groups), std::invalid_argument); };
  refuses({{}, {}});
  refuses({{1, 2}, {1}});
  refuses({{1, kNan}, {0.5, 0.5}});
  refuses({{1, kInfinity}, {0.5, 0.5}});
  refuses({{1, 2}, {1, 0}});
  refuses({{1, 2}, {0.5, 0.6}});
}

AmbiguityCase cvar_case() {
  const auto at = [](double kappa) { return [kappa](const GroupRisk& risk) { return cvar_weights(risk, kappa); }; };
  return {"cvar", at(0.5), at(1), at(0.2)};
}

AmbiguityCase chi_square_case() {
  const auto at = [](double rho) { return [rho](const GroupRisk& risk) { return chi_square_weights(risk, rho); }; };
  return {"chi_square", at(0.3), at(0), at(2)};  // 2 = (1/0.2 - 1) / 2
}

AmbiguityCase kl_case() {
  const auto at = [](double tau) { return [tau](const GroupRisk& risk) { return kl_weights(risk, tau); }; };
  return {"kl", at(1), at(1e8), at(1e-3)};
}

INSTANTIATE_TEST_SUITE_P(Sets, AmbiguitySet, testing::Values(cvar_case(), chi_square_case(), kl_case()),
                         [](const auto& ambiguity) { return ambiguity.param.name; });

TEST(AmbiguitySets, RefuseParametersOutOfRange) {
  const Groups groups{{1, 2}, {0.5, 0.5}};
  for (const double kappa : {0.0, -1.0, 1.1, kNan}) EXPECT_THROW(cvar_weights(groups, kappa), std::invalid_argument);
  for (const double rho : {-1.0, kNan, kInfinity}) EXPECT_THROW(chi_square_weights(groups, rho), std::invalid_argument);
  for (const double tau : {0.0, -1.0, kNan, kInfinity}) EXPECT_THROW(kl_weights(groups, tau), std::invalid_argument);
}

}  // namespace ambiguity_sets_test
}  // namespace equipoise
