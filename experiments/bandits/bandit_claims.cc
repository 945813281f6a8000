#include "experiments/bandits/bandit_claims.h"

#include <cmath>
#include <functional>

namespace equipoise::reproduce {
namespace {

template <class Value>
std::vector<double> over_seeds(const std::vector<BanditRun>& runs, Value value) {
  std::vector<double> values;
  for (const BanditRun& run : runs) values.push_back(value(run));
  return values;
}

std::size_t index(auto name) { return static_cast<std::size_t>(name); }

}  // namespace

std::vector<double> final_values(const std::vector<BanditRun>& runs, Method method, const Measure& measure) {
  return over_seeds(runs, [&](const BanditRun& run) { return measure(run.methods[index(method)].back()); });
}

std::vector<double> trade_off_values(const std::vector<BanditRun>& runs, Family family, std::size_t trade_off,
                                     const Measure& measure) {
  return over_seeds(runs, [&](const BanditRun& run) { return measure(run.trade_off[index(family)][trade_off]); });
}

Series measure_series(const std::vector<BanditRun>& runs, Method method, const Measure& measure) {
  Series series;
  const Trajectory& first = runs.front().methods[index(method)];
  for (std::size_t i = 1; i < first.size(); ++i) {
    series.iteration.push_back(static_cast<double>(first[i].iteration));
    series.over_seeds.push_back(
        estimate(over_seeds(runs, [&](const BanditRun& run) { return measure(run.methods[index(method)][i]); })));
  }
  return series;
}

Series gap_series(const std::vector<BanditRun>& runs, GapMethod method) {
  Series series;
  const GapTrajectory& first = runs.front().gaps[index(method)];
  for (std::size_t i = 0; i < first.size(); ++i) {
    series.iteration.push_back(static_cast<double>(first[i].iteration));
    series.over_seeds.push_back(
        estimate(over_seeds(runs, [&](const BanditRun& run) { return run.gaps[index(method)][i].gap; })));
  }
  return series;
}

double gap_slope(const Series& gap) {
  std::vector<double> log_iteration;
  std::vector<double> log_gap;
  for (std::size_t i = 0; i < gap.iteration.size(); ++i) {
    if (gap.iteration[i] * 100 < gap.iteration.back()) continue;
    log_iteration.push_back(std::log10(gap.iteration[i]));
    log_gap.push_back(std::log10(gap.over_seeds[i].mean));
  }
  return fitted_slope(log_iteration, log_gap);
}

namespace {

using Runs = std::vector<BanditRun>;
using Judge = std::function<std::optional<Finding>(const Scenario&, const Runs&)>;

constexpr double kAlike = 0.01;     // means within one per cent are the same
constexpr double kGapSlope = -0.5;  // T^-1/2

class Judging {
 public:
  explicit Judging(const BanditResults& results) : results_(results) {}

  void add(std::string statement, std::string rule, const Judge& judge) {
    Claim claim{std::move(statement), std::move(rule), {}};
    for (std::size_t s = 0; s < paper_scenarios().size(); ++s) {
      claim.findings.push_back(judge(paper_scenarios()[s], results_.runs[s]));
    }
    claims_.push_back(std::move(claim));
  }

  // Two claims: the largest validation loss and the largest reward error end lower.
  void add_lower(Method method, Method other) {
    const std::string name(method_name(method));
    const std::string than = " than " + std::string(method_name(other));
    const std::string rule = "mean of " + name + " − mean of " + std::string(method_name(other)) +
                             " below −2 standard errors of the paired differences over seeds";
    add(name + " ends with a lower max validation group loss" + than, rule, [=](const Scenario&, const Runs& runs) {
      return judge_below(final_values(runs, method, max_validation_loss),
                         final_values(runs, other, max_validation_loss));
    });
    add(name + " ends with a lower max reward error" + than, rule, [=](const Scenario&, const Runs& runs) {
      return judge_below(final_values(runs, method, max_reward_error), final_values(runs, other, max_reward_error));
    });
  }

  void add_alike(Method method, Method other) {
    add("Importance sampling does nothing where groups are of equal size: " + std::string(method_name(method)) +
            " ends like " + std::string(method_name(other)),
        "means of the final max validation group loss within 1 %",
        [=](const Scenario& scenario, const Runs& runs) -> std::optional<Finding> {
          if (scenario.train_sizes_K[0] != scenario.train_sizes_K[1]) return std::nullopt;
          return judge_alike(final_values(runs, method, max_validation_loss),
                             final_values(runs, other, max_validation_loss), kAlike);
        });
  }

  // The group that is worse off without the method, by its validation loss, ends with more than its equal share.
  void add_raised_weight(Method method, Method plain) {
    add("The weights rise for the group that " + std::string(method_name(plain)) + " leaves behind (" +
            std::string(method_name(method)) + ")",
        "final α of the group with the larger validation loss under " + std::string(method_name(plain)) +
            ", mean above 1/2 by more than 2 standard errors",
        [=](const Scenario&, const Runs& runs) {
          std::vector<double> alpha;
          for (const BanditRun& run : runs) {
            const std::vector<double>& loss_K = run.methods[static_cast<std::size_t>(plain)].back().validation_loss_K;
            alpha.push_back(
                run.methods[static_cast<std::size_t>(method)].back().alpha_K[loss_K[1] > loss_K[0] ? 1 : 0]);
          }
          return judge_above(alpha, 0.5);
        });
  }

  void add_trade_off(Family family) {
    const std::string name(method_name(robust_method(family)));
    const std::size_t last = kTradeOffs.size() - 1;
    const std::string rule = "paired difference over seeds beyond 2 standard errors";
    add("χ = 1 ends with a lower max validation group loss than χ = 0 (" + name + ")", rule,
        [=](const Scenario&, const Runs& runs) {
          return judge_below(trade_off_values(runs, family, last, max_validation_loss),
                             trade_off_values(runs, family, 0, max_validation_loss));
        });
    add("χ = 0 ends with a lower mean validation group loss than χ = 1 (" + name + ")", rule,
        [=](const Scenario&, const Runs& runs) {
          return judge_below(trade_off_values(runs, family, 0, mean_validation_loss),
                             trade_off_values(runs, family, last, mean_validation_loss));
        });
  }

  void add_gap(GapMethod method) {
    add("The duality gap of " + std::string(gap_method_name(method)) + " falls as 1/√T or faster",
        "slope of log(mean gap of the averaged iterates) over log T, fitted to the last two decades of T, at most −0.5",
        [=](const Scenario&, const Runs& runs) { return judge_slope(gap_slope(gap_series(runs, method)), kGapSlope); });
  }

  std::vector<Claim> finish() { return std::move(claims_); }

 private:
  const BanditResults& results_;
  std::vector<Claim> claims_;
};

}  // namespace

std::vector<Claim> judge_bandits(const BanditResults& results) {
  Judging judging(results);
  judging.add_lower(Method::kGrDpo, Method::kDpo);
  judging.add_lower(Method::kGrDpo, Method::kIsDpo);
  judging.add_lower(Method::kGrIpo, Method::kIpo);
  judging.add_lower(Method::kGrIpo, Method::kIsIpo);
  judging.add_lower(Method::kGrIpoAuthors, Method::kIpo);
  judging.add_lower(Method::kGrIpoAuthors, Method::kIsIpo);
  judging.add_alike(Method::kIsDpo, Method::kDpo);
  judging.add_alike(Method::kIsIpo, Method::kIpo);
  judging.add_raised_weight(Method::kGrDpo, Method::kDpo);
  judging.add_raised_weight(Method::kGrIpo, Method::kIpo);
  judging.add_trade_off(Family::kDpo);
  judging.add_trade_off(Family::kIpo);
  for (const GapMethod method : kGapMethods) judging.add_gap(method);
  return judging.finish();
}

}  // namespace equipoise::reproduce
