#include "client/reproduce/opinion_csv.h"

#include <cmath>

#include "client/table/csv_text.h"
#include "common/base/number_text.h"

namespace equipoise::reproduce {
namespace {

std::string number_or_nothing(double value) { return std::isnan(value) ? "" : number_text(value); }

void add_evaluations(std::string& csv, const OpinionResults& results, const std::string& method,
                     const std::vector<OpinionRun>& runs) {
  for (const OpinionRun& run : runs) {
    for (const OpinionEvaluation& evaluation : run.evaluations) {
      for (std::size_t g = 0; g < results.groups.size(); ++g) {
        const GroupMeasures& group = evaluation.groups_K[g];
        add_csv_row(csv, {method, std::to_string(run.seed), std::to_string(evaluation.step), results.groups[g],
                          number_text(group.loss), number_or_nothing(group.reward_accuracy),
                          number_or_nothing(group.log_prob_accuracy)});
      }
    }
  }
}

void add_summary(std::string& csv, Method method, const char* measure, std::span<const double> values) {
  const Estimate over_seeds = estimate(values);
  add_csv_row(csv, {std::string(method_name(method)), measure, number_text(over_seeds.mean),
                    number_text(over_seeds.standard_error), number_text(over_seeds.low), number_text(over_seeds.high)});
}

}  // namespace

std::string opinion_evaluations_csv(const OpinionResults& results) {
  std::string csv = "method,seed,step,group,validation_loss,reward_accuracy,log_prob_accuracy\n";
  add_evaluations(csv, results, "SFT", results.sft);
  for (const Method method : kOpinionMethods) {
    add_evaluations(csv, results, std::string(method_name(method)), results.of(method));
  }
  return csv;
}

std::string opinion_weights_csv(const OpinionResults& results) {
  std::string csv = "method,seed,step,group,alpha\n";
  for (const Method method : kOpinionMethods) {
    for (const OpinionRun& run : results.of(method)) {
      for (const WeightPoint& point : run.weights) {
        for (std::size_t g = 0; g < results.groups.size(); ++g) {
          add_csv_row(csv, {std::string(method_name(method)), std::to_string(run.seed), std::to_string(point.step),
                            results.groups[g], number_text(point.alpha_K[g])});
        }
      }
    }
  }
  return csv;
}

std::string opinion_summary_csv(const OpinionResults& results) {
  std::string csv = "method,measure,mean,standard_error,low_95,high_95\n";
  for (const Method method : kOpinionMethods) {
    const std::vector<OpinionRun>& runs = results.of(method);
    add_summary(csv, method, "max_group_loss", final_values(runs, max_group_loss));
    add_summary(csv, method, "mean_group_loss", final_values(runs, mean_group_loss));
    add_summary(csv, method, "group_loss_spread", final_values(runs, group_loss_spread));
    add_summary(csv, method, "min_reward_accuracy", final_values(runs, min_reward_accuracy));
    add_summary(csv, method, "min_log_prob_accuracy_start", start_values(runs, min_log_prob_accuracy));
    add_summary(csv, method, "min_log_prob_accuracy", final_values(runs, min_log_prob_accuracy));
  }
  return csv;
}

std::string opinion_claims_csv(std::span<const Claim> claims) {
  std::vector<std::string> columns;
  for (const Family family : kFamilies) columns.emplace_back(family_name(family));
  return claims_csv(claims, "family", columns);
}

}  // namespace equipoise::reproduce
