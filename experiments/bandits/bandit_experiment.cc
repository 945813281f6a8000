#include "experiments/bandits/bandit_experiment.h"

#include <algorithm>
#include <cmath>

#include "common/base/error.h"

namespace equipoise::reproduce {
namespace {

using log_linear::ClosedForm;
using log_linear::PairLoss;
using log_linear::Responses;

constexpr std::array<Scenario, 3> kScenarios{{
    {"even_imbalanced", "Even responses, imbalanced groups", Responses::kEven, {60, 240}, 1.0, 0.5, 0.9, 10000},
    {"uneven_balanced", "Uneven responses, balanced groups", Responses::kUneven, {150, 150}, 2.0, 5.0, 0.01, 5000},
    {"uneven_imbalanced", "Uneven responses, imbalanced groups", Responses::kUneven, {60, 240}, 1.0, 0.9, 0.5, 20000},
}};

constexpr double kIpoBeta = 0.1;
constexpr double kIpoAlphaStep = 0.01;
constexpr double kIpoLearningRate = 0.02;          // by gradient, for the duality gap
constexpr std::int64_t kIpoIterations = 100;       // the published number, in closed form
constexpr std::int64_t kIpoGapIterations = 10000;  // two decades more than the training shows

RunSettings dpo_settings(const Scenario& scenario, RobustMode mode) {
  RunSettings run;
  run.engine.loss = {PairLoss::kDpo, scenario.dpo_beta, 0.0};
  run.engine.robust.mode = mode;
  run.engine.robust.step_size = scenario.dpo_alpha_step;
  run.engine.theta.learning_rate = scenario.dpo_learning_rate;
  run.iterations = scenario.dpo_iterations;
  return run;
}

RunSettings ipo_settings(RobustMode mode, ClosedForm closed_form) {
  RunSettings run;
  run.engine.loss = {PairLoss::kIpo, kIpoBeta, 0.0};
  run.engine.robust.mode = mode;
  run.engine.robust.step_size = kIpoAlphaStep;
  run.engine.theta.learning_rate = kIpoLearningRate;
  run.engine.theta.closed_form = closed_form;
  run.iterations = kIpoIterations;
  return run;
}

}  // namespace

std::span<const Scenario> paper_scenarios() { return kScenarios; }

std::string_view gap_method_name(GapMethod method) {
  switch (method) {
    case GapMethod::kGrDpo:
      return "GR-DPO";
    case GapMethod::kGrIpoGradient:
      return "GR-IPO by gradient";
    case GapMethod::kGrIpoClosed:
      return "GR-IPO in closed form";
  }
  check_failed("a run with a duality gap", __FILE__, __LINE__);
}

Family family_of(GapMethod method) { return method == GapMethod::kGrDpo ? Family::kDpo : Family::kIpo; }

RunSettings method_settings(const Scenario& scenario, Method method) {
  RunSettings run;
  switch (method) {
    case Method::kDpo:
      return dpo_settings(scenario, RobustMode::kNone);
    case Method::kIsDpo:
      run = dpo_settings(scenario, RobustMode::kImportance);
      break;
    case Method::kGrDpo:
      return dpo_settings(scenario, RobustMode::kGroupRobust);
    case Method::kIpo:
      return ipo_settings(RobustMode::kNone, ClosedForm::kObjective);
    case Method::kIsIpo:
      run = ipo_settings(RobustMode::kImportance, ClosedForm::kObjective);
      break;
    case Method::kGrIpo:
      return ipo_settings(RobustMode::kGroupRobust, ClosedForm::kObjective);
    case Method::kGrIpoAuthors:
      return ipo_settings(RobustMode::kGroupRobust, ClosedForm::kAuthors);
  }
  // The authors' importance weights multiply sums over the batch, not means.
  run.engine.robust.estimator = Estimator::kBatchSum;
  return run;
}

RunSettings trade_off_settings(const Scenario& scenario, Family family, double trade_off) {
  RunSettings run = method_settings(scenario, robust_method(family));
  run.engine.robust.trade_off = trade_off;
  return run;
}

RunSettings gap_settings(const Scenario& scenario, GapMethod method) {
  if (method == GapMethod::kGrDpo) return method_settings(scenario, Method::kGrDpo);
  RunSettings run = ipo_settings(RobustMode::kGroupRobust,
                                 method == GapMethod::kGrIpoClosed ? ClosedForm::kObjective : ClosedForm::kOff);
  run.iterations = kIpoGapIterations;
  return run;
}

log_linear::Problem paper_problem(log_linear::FeatureMap features, std::uint64_t seed) {
  constexpr double kThetaBelow = 5.0;
  return {.features = features,
          .actions = 8,
          .reward_KD = {{1, 3, 1, 3}, {3, 1, 3, 1}},
          .initial_theta_D = log_linear::draw_theta(4, kThetaBelow, seed)};
}

std::vector<std::int64_t> log_spaced_iterations(std::int64_t last, int per_decade) {
  std::vector<std::int64_t> iterations{0};
  for (int index = 0; iterations.back() < last; ++index) {
    const auto rounded = static_cast<std::int64_t>(std::llround(std::pow(10.0, double(index) / per_decade)));
    const std::int64_t next = std::min(rounded, last);
    if (next > iterations.back()) iterations.push_back(next);
  }
  return iterations;
}

}  // namespace equipoise::reproduce
