#include "experiments/bandits/bandit_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/table/text_table.h"
#include "common/base/message_text.h"
#include "experiments/bandits/bandit_claims.h"
#include "experiments/report/report_page.h"

namespace equipoise::reproduce {
namespace {

// Calls visit(scenario, runs) for each scenario.
template <class Visit>
void each_scenario(const BanditResults& results, Visit visit) {
  for (std::size_t s = 0; s < paper_scenarios().size(); ++s) {
    visit(std::string(paper_scenarios()[s].name), results.runs[s]);
  }
}

void add_estimates(std::string& csv, const std::string& scenario, Method method, const std::string& measure,
                   const Series& series) {
  for (std::size_t i = 0; i < series.iteration.size(); ++i) {
    const Estimate& over_seeds = series.over_seeds[i];
    add_csv_row(csv, {scenario, std::string(method_name(method)), measure, number_text(series.iteration[i]),
                      number_text(over_seeds.mean), number_text(over_seeds.standard_error), number_text(over_seeds.low),
                      number_text(over_seeds.high)});
  }
}

}  // namespace

std::string curves_csv(const BanditResults& results) {
  std::string csv =
      "scenario,method,seed,iteration,max_validation_loss,max_reward_error,validation_loss_0,validation_loss_1,"
      "reward_error_0,reward_error_1,alpha_0,alpha_1\n";
  each_scenario(results, [&](const std::string& scenario, const std::vector<BanditRun>& runs) {
    for (const Method method : kMethods) {
      for (const BanditRun& run : runs) {
        for (const Checkpoint& point : run.methods[static_cast<std::size_t>(method)]) {
          add_csv_row(csv, {scenario, std::string(method_name(method)), std::to_string(run.seed),
                            std::to_string(point.iteration), number_text(max_validation_loss(point)),
                            number_text(max_reward_error(point)), number_text(point.validation_loss_K[0]),
                            number_text(point.validation_loss_K[1]), number_text(point.reward_error_K[0]),
                            number_text(point.reward_error_K[1]), number_text(point.alpha_K[0]),
                            number_text(point.alpha_K[1])});
        }
      }
    }
  });
  return csv;
}

std::string summary_csv(const BanditResults& results) {
  std::string csv = "scenario,method,measure,iteration,mean,standard_error,low_95,high_95\n";
  each_scenario(results, [&](const std::string& scenario, const std::vector<BanditRun>& runs) {
    for (const Method method : kMethods) {
      add_estimates(csv, scenario, method, "max_validation_loss", measure_series(runs, method, max_validation_loss));
      add_estimates(csv, scenario, method, "max_reward_error", measure_series(runs, method, max_reward_error));
    }
  });
  return csv;
}

std::string trade_off_csv(const BanditResults& results) {
  std::string csv = "scenario,family,chi,seed,max_validation_loss,mean_validation_loss,max_reward_error\n";
  each_scenario(results, [&](const std::string& scenario, const std::vector<BanditRun>& runs) {
    for (const Family family : {Family::kDpo, Family::kIpo}) {
      for (std::size_t i = 0; i < kTradeOffs.size(); ++i) {
        for (const BanditRun& run : runs) {
          const Checkpoint& end = run.trade_off[static_cast<std::size_t>(family)][i];
          add_csv_row(csv, {scenario, std::string(family_name(family)), number_text(kTradeOffs[i]),
                            std::to_string(run.seed), number_text(max_validation_loss(end)),
                            number_text(mean_validation_loss(end)), number_text(max_reward_error(end))});
        }
      }
    }
  });
  return csv;
}

std::string duality_gap_csv(const BanditResults& results) {
  std::string csv = "scenario,run,seed,iteration,primal,dual,gap\n";
  each_scenario(results, [&](const std::string& scenario, const std::vector<BanditRun>& runs) {
    for (const GapMethod method : kGapMethods) {
      for (const BanditRun& run : runs) {
        for (const GapPoint& point : run.gaps[static_cast<std::size_t>(method)]) {
          add_csv_row(csv, {scenario, std::string(gap_method_name(method)), std::to_string(run.seed),
                            std::to_string(point.iteration), number_text(point.primal), number_text(point.dual),
                            number_text(point.gap)});
        }
      }
    }
  });
  return csv;
}

std::string settings_csv(const BanditOptions& options) {
  std::string csv =
      "scenario,method,features,train_pairs_0,train_pairs_1,validation_pairs_0,validation_pairs_1,beta,theta,"
      "learning_rate,alpha_step_size,iterations\n";
  for (const Scenario& scenario : paper_scenarios()) {
    for (const Method method : kMethods) {
      const RunSettings run = method_settings(scenario, method);
      const bool closed = run.engine.theta.closed_form != log_linear::ClosedForm::kOff;
      const bool robust = run.engine.robust.mode == RobustMode::kGroupRobust;
      const std::int64_t iterations =
          options.most_iterations == 0 ? run.iterations : std::min(run.iterations, options.most_iterations);
      add_csv_row(
          csv, {std::string(scenario.name), std::string(method_name(method)),
                std::string(log_linear::feature_map_name(options.features)), std::to_string(scenario.train_sizes_K[0]),
                std::to_string(scenario.train_sizes_K[1]), std::to_string(kEvaluationSizes[0]),
                std::to_string(kEvaluationSizes[1]), number_text(run.engine.loss.beta),
                closed ? "closed form" : "gradient", closed ? "" : number_text(run.engine.theta.learning_rate),
                robust ? number_text(run.engine.robust.step_size) : "", std::to_string(iterations)});
    }
  }
  return csv;
}

std::string claims_csv(std::span<const Claim> claims) {
  std::vector<std::string> names;
  for (const Scenario& scenario : paper_scenarios()) names.emplace_back(scenario.name);
  return claims_csv(claims, "scenario", names);
}

namespace {

using Json = nlohmann::json;
using Runs = std::vector<BanditRun>;

bool is_robust(Method method) { return method == robust_method(family_of(method)) || method == Method::kGrIpoAuthors; }

Json settings_json(const BanditOptions& options, const Scenario& scenario, Method method) {
  const RunSettings run = method_settings(scenario, method);
  const bool closed = run.engine.theta.closed_form != log_linear::ClosedForm::kOff;
  return {{"beta", run.engine.loss.beta},
          {"learning_rate", closed ? Json() : Json(run.engine.theta.learning_rate)},
          {"alpha_step_size", is_robust(method) ? Json(run.engine.robust.step_size) : Json()},
          {"iterations",
           options.most_iterations == 0 ? run.iterations : std::min(run.iterations, options.most_iterations)}};
}

// "max_validation_loss" and "max_reward_error" over training and at the end; alpha of each group where it moves.
Json method_json(const BanditOptions& options, const Scenario& scenario, const Runs& runs, Method method) {
  const Series loss = measure_series(runs, method, max_validation_loss);
  const Series error = measure_series(runs, method, max_reward_error);
  Json json{{"method", method_name(method)},
            {"label", method_label(method)},
            {"family", family_name(family_of(method))},
            {"role", method_role(method)},
            {"iteration", loss.iteration},
            {"max_validation_loss", series_json(loss)},
            {"max_reward_error", series_json(error)},
            {"settings", settings_json(options, scenario, method)}};
  json["final"] = {{"max_validation_loss", estimate_json(estimate(final_values(runs, method, max_validation_loss)))},
                   {"max_reward_error", estimate_json(estimate(final_values(runs, method, max_reward_error)))}};
  if (!is_robust(method)) return json;
  for (std::size_t g = 0; g < scenario.train_sizes_K.size(); ++g) {
    json["alpha"].push_back(
        series_json(measure_series(runs, method, [g](const Checkpoint& point) { return point.alpha_K[g]; })));
  }
  return json;
}

Json trade_off_json(const Runs& runs, Family family) {
  const auto over_chi = [&](const Measure& measure) {
    Series series;
    for (std::size_t i = 0; i < kTradeOffs.size(); ++i) {
      series.over_seeds.push_back(estimate(trade_off_values(runs, family, i, measure)));
    }
    return series_json(series);
  };
  return {{"family", family_name(family)},
          {"chi", kTradeOffs},
          {"max", over_chi(max_validation_loss)},
          {"mean", over_chi(mean_validation_loss)}};
}

Json gap_json(const Runs& runs, GapMethod method) {
  const Series gap = gap_series(runs, method);
  return {{"run", gap_method_name(method)},
          {"family", family_name(family_of(method))},
          {"iteration", gap.iteration},
          {"gap", series_json(gap)},
          {"slope", gap_slope(gap)}};
}

Json scenario_json(const BanditOptions& options, const Scenario& scenario, const Runs& runs) {
  Json json{{"name", scenario.name}, {"title", scenario.title}, {"train_pairs", scenario.train_sizes_K}};
  for (const Method method : kMethods) json["methods"].push_back(method_json(options, scenario, runs, method));
  for (const Family family : kFamilies) json["trade_off"].push_back(trade_off_json(runs, family));
  for (const GapMethod method : kGapMethods) json["gaps"].push_back(gap_json(runs, method));
  return json;
}

}  // namespace

std::string bandit_report(const BanditResults& results, const std::vector<Claim>& claims) {
  const BanditOptions& options = results.options;
  Json json{{"seeds", options.seeds},
            {"first_seed", options.first_seed},
            {"last_seed", options.first_seed + options.seeds - 1},
            {"features", log_linear::feature_map_name(options.features)},
            {"most_iterations", options.most_iterations},
            {"claims", claims_json(claims)},
            {"checks", checks_json(claims)}};
  for (const Family family : kFamilies) json["families"].push_back(family_name(family));
  for (std::size_t s = 0; s < paper_scenarios().size(); ++s) {
    json["scenarios"].push_back(scenario_json(options, paper_scenarios()[s], results.runs[s]));
  }
  return report_page("bandits.html", json);
}

std::vector<ReportFile> bandit_report_files(const BanditResults& results, const std::vector<Claim>& claims) {
  return {{"report.html", bandit_report(results, claims)}, {"curves.csv", curves_csv(results)},
          {"summary.csv", summary_csv(results)},           {"trade_off.csv", trade_off_csv(results)},
          {"duality_gap.csv", duality_gap_csv(results)},   {"claims.csv", claims_csv(claims)},
          {"settings.csv", settings_csv(results.options)}};
}

std::vector<std::string> bandit_report_names() {
  return {"report.html", "curves.csv", "summary.csv", "trade_off.csv", "duality_gap.csv", "claims.csv", "settings.csv"};
}

}  // namespace equipoise::reproduce
