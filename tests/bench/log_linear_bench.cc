// Full-batch iterations per second of the log-linear engine on the paper's problem: 300 pairs, 2 groups, 4 features.
#include <benchmark/benchmark.h>

#include "client/data/preference_generator.h"
#include "common/log_linear/evaluation.h"
#include "experiments/bandits/engine.h"

namespace equipoise::log_linear {
namespace {

Problem paper_problem() { return {FeatureMap::kSwapped, 8, {{1, 3, 1, 3}, {3, 1, 3, 1}}, {1, 2, 3, 4}}; }

PairMatrix paper_pairs(std::uint64_t size) {
  const GeneratorSettings settings{Responses::kUneven, Preferring::kDeterministic, {size / 5, size - size / 5}, 1};
  return make_pair_matrix(paper_problem(), generate_preferences(paper_problem(), settings));
}

EngineSettings group_robust(PairLoss loss) {
  EngineSettings settings;
  settings.loss = {loss, loss == PairLoss::kDpo ? 1.0 : 0.1, 0};
  settings.robust.mode = RobustMode::kGroupRobust;
  settings.robust.step_size = loss == PairLoss::kDpo ? 0.5 : 0.01;
  settings.theta.learning_rate = loss == PairLoss::kDpo ? 0.9 : 0.02;
  return settings;
}

void run(benchmark::State& state, const EngineSettings& settings, std::uint64_t pairs) {
  Engine engine(paper_pairs(pairs), paper_problem().initial_theta_D, settings);
  for (auto _ : state) engine.step();
  benchmark::DoNotOptimize(engine.theta_D().data());
  state.SetItemsProcessed(state.iterations());
}

void GrDpoIteration(benchmark::State& state) {
  run(state, group_robust(PairLoss::kDpo), static_cast<std::uint64_t>(state.range(0)));
}
BENCHMARK(GrDpoIteration)->Arg(300)->Arg(30'000);

void GrIpoIteration(benchmark::State& state) { run(state, group_robust(PairLoss::kIpo), 300); }
BENCHMARK(GrIpoIteration);

void GrIpoClosedFormIteration(benchmark::State& state) {
  EngineSettings settings = group_robust(PairLoss::kIpo);
  settings.theta.closed_form = ClosedForm::kObjective;
  run(state, settings, 300);
}
BENCHMARK(GrIpoClosedFormIteration);

void StochasticGrDpoIteration(benchmark::State& state) {
  EngineSettings settings = group_robust(PairLoss::kDpo);
  settings.sampling = Sampling::kOneGroup;
  settings.robust.estimator = Estimator::kDatasetScaled;
  settings.robust.step_size = settings.theta.learning_rate = 1e-3;
  run(state, settings, 300);
}
BENCHMARK(StochasticGrDpoIteration);

void RewardErrorOfAThousandStates(benchmark::State& state) {
  const GeneratorSettings settings{Responses::kUneven, Preferring::kDeterministic, {500, 500}, 2};
  const RewardEvaluator evaluator(paper_problem(), generate_preferences(paper_problem(), settings));
  const std::vector<double> theta_D = paper_problem().initial_theta_D;
  for (auto _ : state) benchmark::DoNotOptimize(evaluator.report(theta_D).max_reward_error);
}
BENCHMARK(RewardErrorOfAThousandStates);

}  // namespace
}  // namespace equipoise::log_linear
