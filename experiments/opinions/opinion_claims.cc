#include "experiments/opinions/opinion_claims.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "common/robust/worst_group.h"
#include "experiments/report/statistics.h"

namespace equipoise::reproduce {
namespace {

constexpr const char* kPaired = "paired difference over seeds beyond 2 standard errors";

class Judging {
 public:
  explicit Judging(const OpinionResults& results) : results_(results) {}

  void add(std::string statement, std::string rule, const std::function<Finding(Family)>& judge) {
    Claim claim{std::move(statement), std::move(rule), {}};
    for (const Family family : kFamilies) claim.findings.emplace_back(judge(family));
    claims_.push_back(std::move(claim));
  }

  const std::vector<OpinionRun>& plain(Family family) const { return results_.of(plain_method(family)); }
  const std::vector<OpinionRun>& importance(Family family) const { return results_.of(importance_method(family)); }
  const std::vector<OpinionRun>& robust(Family family) const { return results_.of(robust_method(family)); }

  double equal_share() const { return 1 / static_cast<double>(results_.groups.size()); }
  std::string equal_share_rule() const {
    return ", mean above 1/K = " + significant_text(equal_share()) + " by more than 2 standard errors";
  }

  std::vector<Claim> finish() { return std::move(claims_); }

 private:
  const OpinionResults& results_;
  std::vector<Claim> claims_;
};

std::size_t group_with_largest_loss(const OpinionEvaluation& evaluation) {
  const auto& groups = evaluation.groups_K;
  const auto worst = worst_group(groups, [](const GroupMeasures& group) { return std::optional(group.loss); });
  return static_cast<std::size_t>(worst - groups.begin());
}

std::size_t group_with_lowest_log_prob_accuracy(const OpinionEvaluation& evaluation) {
  const auto& groups = evaluation.groups_K;
  const auto worst = std::min_element(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
    return a.log_prob_accuracy < b.log_prob_accuracy;
  });
  return static_cast<std::size_t>(worst - groups.begin());
}

// alpha at the end of `robust` of the group that `choose` names for each seed.
std::vector<double> weights_of_chosen(const std::vector<OpinionRun>& robust,
                                      const std::function<std::size_t(std::size_t seed)>& choose) {
  std::vector<double> alpha;
  for (std::size_t s = 0; s < robust.size(); ++s) alpha.push_back(robust[s].weights.back().alpha_K[choose(s)]);
  return alpha;
}

void add_worst_case(Judging& judging) {
  judging.add("The group-robust method ends with a lower max group loss than the plain one", kPaired,
              [&](Family family) {
                return judge_below(final_values(judging.robust(family), max_group_loss),
                                   final_values(judging.plain(family), max_group_loss));
              });
  judging.add("It ends with a higher min group reward accuracy", kPaired, [&](Family family) {
    return judge_above(final_values(judging.robust(family), min_reward_accuracy),
                       final_values(judging.plain(family), min_reward_accuracy));
  });
  judging.add("It ends with a smaller imbalance of losses: largest minus smallest group loss", kPaired,
              [&](Family family) {
                return judge_below(final_values(judging.robust(family), group_loss_spread),
                                   final_values(judging.plain(family), group_loss_spread));
              });
  judging.add("It ends with a lower max group loss than importance sampling", kPaired, [&](Family family) {
    return judge_below(final_values(judging.robust(family), max_group_loss),
                       final_values(judging.importance(family), max_group_loss));
  });
}

void add_log_probs(Judging& judging) {
  const auto improves = [&](const std::vector<OpinionRun>& runs) {
    return judge_above(final_values(runs, min_log_prob_accuracy), start_values(runs, min_log_prob_accuracy));
  };
  judging.add("Training raises the min group log-prob accuracy: plain method", kPaired,
              [&](Family family) { return improves(judging.plain(family)); });
  judging.add("Training raises the min group log-prob accuracy: group-robust method", kPaired,
              [&](Family family) { return improves(judging.robust(family)); });
  judging.add("The group-robust method ends with a higher min group log-prob accuracy than the plain one", kPaired,
              [&](Family family) {
                return judge_above(final_values(judging.robust(family), min_log_prob_accuracy),
                                   final_values(judging.plain(family), min_log_prob_accuracy));
              });
}

void add_weights(Judging& judging) {
  judging.add("The weights rise for the group that the plain method leaves behind",
              "final α of the group with the largest final loss under the plain method" + judging.equal_share_rule(),
              [&](Family family) {
                const auto& plain = judging.plain(family);
                const auto worst = [&](std::size_t s) { return group_with_largest_loss(plain[s].evaluations.back()); };
                return judge_above(weights_of_chosen(judging.robust(family), worst), judging.equal_share());
              });
  judging.add("The weights rise for the group whose log-prob accuracy is lowest after SFT",
              "final α of that group" + judging.equal_share_rule(), [&](Family family) {
                const auto& robust = judging.robust(family);
                const auto worst = [&](std::size_t s) {
                  return group_with_lowest_log_prob_accuracy(robust[s].evaluations.front());
                };
                return judge_above(weights_of_chosen(robust, worst), judging.equal_share());
              });
}

}  // namespace

std::vector<Claim> judge_opinions(const OpinionResults& results) {
  Judging judging(results);
  add_worst_case(judging);
  add_log_probs(judging);
  add_weights(judging);
  judging.add("The price: the plain method ends with a lower mean of the group losses", kPaired, [&](Family family) {
    return judge_below(final_values(judging.plain(family), mean_group_loss),
                       final_values(judging.robust(family), mean_group_loss));
  });
  return judging.finish();
}

}  // namespace equipoise::reproduce
