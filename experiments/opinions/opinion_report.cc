#include "experiments/opinions/opinion_report.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "client/table/text_table.h"
#include "common/base/message_text.h"
#include "common/config/field_check.h"
#include "experiments/report/report_page.h"

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

namespace {

using Json = nlohmann::json;
using Runs = std::vector<OpinionRun>;

constexpr std::size_t kMostPoints = 150;  // of a curve: more than can be told apart

Json curve_json(const Series& series) {
  const std::size_t count = series.iteration.size();
  Series shown = series;
  if (count > kMostPoints) {
    shown = {};
    for (std::size_t i = 0; i < kMostPoints; ++i) {
      const std::size_t at = i * (count - 1) / (kMostPoints - 1);
      shown.iteration.push_back(series.iteration[at]);
      shown.over_seeds.push_back(series.over_seeds[at]);
    }
  }
  Json json = series_json(shown);
  json["step"] = shown.iteration;
  return json;
}

Json start_json(const Runs& runs, const OpinionMeasure& measure) {
  return estimate_json(estimate(start_values(runs, measure)));
}

Json final_json(const Runs& runs, const OpinionMeasure& measure) {
  return estimate_json(estimate(final_values(runs, measure)));
}

Json group_json(const Runs& runs, std::size_t group) {
  return {{"start", {{"log_prob_accuracy", start_json(runs, log_prob_accuracy_of(group))}}},
          {"end",
           {{"loss", final_json(runs, loss_of(group))},
            {"reward_accuracy", final_json(runs, reward_accuracy_of(group))},
            {"log_prob_accuracy", final_json(runs, log_prob_accuracy_of(group))}}},
          {"alpha", estimate_json(estimate(final_weights(runs, group)))}};
}

Json method_json(const OpinionResults& results, Method method) {
  const Runs& runs = results.of(method);
  Json json{{"method", method_name(method)},
            {"family", family_name(family_of(method))},
            {"role", method_role(method)},
            {"max_group_loss", curve_json(measure_series(runs, max_group_loss))},
            {"min_reward_accuracy", curve_json(measure_series(runs, min_reward_accuracy))},
            {"min_log_prob_accuracy", curve_json(measure_series(runs, min_log_prob_accuracy))},
            {"start", {{"min_log_prob_accuracy", start_json(runs, min_log_prob_accuracy)}}},
            {"final",
             {{"max_group_loss", final_json(runs, max_group_loss)},
              {"mean_group_loss", final_json(runs, mean_group_loss)},
              {"group_loss_spread", final_json(runs, group_loss_spread)},
              {"min_reward_accuracy", final_json(runs, min_reward_accuracy)},
              {"min_log_prob_accuracy", final_json(runs, min_log_prob_accuracy)}}}};
  for (std::size_t g = 0; g < results.groups.size(); ++g) {
    json["groups"].push_back(group_json(runs, g));
    if (method == robust_method(family_of(method))) json["alpha"].push_back(curve_json(weight_series(runs, g)));
  }
  return json;
}

// As job files write them.
template <typename Enum>
std::string enum_text(const google::protobuf::EnumDescriptor& known, Enum value) {
  return short_enum_name(*known.FindValueByNumber(static_cast<int>(value)));
}

Json job_json(std::string_view name, const v1::JobSpec& spec) {
  const v1::JobSpec resolved = opinion_job_defaults(spec);
  const v1::RobustSpec& robust = resolved.robust();
  const bool sft = resolved.loss().type() == v1::LOSS_TYPE_SFT;
  const bool moves = robust.mode() == v1::ROBUST_MODE_GROUP_ROBUST;
  const v1::TrainingSpec& training = resolved.training();
  return {{"job", name},
          {"beta", sft ? Json() : Json(resolved.loss().beta())},
          {"learning_rate", resolved.optimizer().learning_rate()},
          {"warmup_steps", resolved.optimizer().schedule().warmup_steps()},
          {"mode", enum_text(*v1::RobustMode_descriptor(), robust.mode())},
          {"estimator", enum_text(*v1::Estimator_descriptor(), robust.estimator())},
          {"alpha_step_size", moves ? Json(robust.step_size()) : Json()},
          {"batch_size", training.global_batch_size()},
          {"max_steps", training.has_max_steps() ? Json(training.max_steps()) : Json()},
          {"epochs", training.has_epochs() ? Json(training.epochs()) : Json()}};
}

Json results_json(const OpinionResults& results, const std::vector<Claim>& claims) {
  Json json{{"survey", results.survey},
            {"model", results.model},
            {"seeds", results.sft.size()},
            {"first_seed", results.sft.front().seed},
            {"last_seed", results.sft.back().seed},
            {"claims", claims_json(claims)},
            {"checks", checks_json(claims)}};
  for (const Family family : kFamilies) json["families"].push_back(family_name(family));
  for (std::size_t g = 0; g < results.groups.size(); ++g) {
    json["groups"].push_back({{"name", results.groups[g]},
                              {"train_pairs", results.sizes_K[g].train_pairs},
                              {"validation_pairs", results.sizes_K[g].validation_pairs}});
  }
  json["jobs"].push_back(job_json("SFT", results.jobs.sft));
  for (std::size_t m = 0; m < kOpinionMethods.size(); ++m) {
    json["methods"].push_back(method_json(results, kOpinionMethods[m]));
    json["jobs"].push_back(job_json(method_name(kOpinionMethods[m]), results.jobs.methods[m]));
  }
  return json;
}

}  // namespace

std::string opinion_report(const OpinionResults& results, const std::vector<Claim>& claims) {
  return report_page("opinions.html", results_json(results, claims));
}

std::vector<ReportFile> opinion_report_files(const OpinionResults& results, const std::vector<Claim>& claims) {
  return {{"report.html", opinion_report(results, claims)},
          {"evaluations.csv", opinion_evaluations_csv(results)},
          {"weights.csv", opinion_weights_csv(results)},
          {"summary.csv", opinion_summary_csv(results)},
          {"claims.csv", opinion_claims_csv(claims)}};
}

std::vector<std::string> opinion_report_names() {
  return {"report.html", "evaluations.csv", "weights.csv", "summary.csv", "claims.csv"};
}

}  // namespace equipoise::reproduce
