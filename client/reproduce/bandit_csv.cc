#include "client/reproduce/bandit_csv.h"

#include <algorithm>

#include "client/reproduce/bandit_series.h"
#include "client/table/csv_text.h"
#include "common/base/number_text.h"

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

}  // namespace equipoise::reproduce
