// One mirror-ascent update for K groups of which a batch holds some.
#include <benchmark/benchmark.h>

#include "common/robust/group_weights.h"

namespace equipoise {
namespace {

// A batch with every `stride`-th of K groups in it.
GroupSums batch_of(std::size_t groups, std::size_t stride) {
  GroupSums sums;
  for (std::size_t g = 0; g < groups; g += stride) {
    sums.group.push_back(static_cast<std::uint32_t>(g));
    sums.loss_sum.push_back(0.5 + 1e-7 * static_cast<double>(g));
    sums.pair_count.push_back(1);
  }
  sums.batch_pairs = static_cast<double>(sums.group.size());
  return sums;
}

void MirrorAscent(benchmark::State& state) {
  const auto groups = static_cast<std::size_t>(state.range(0));
  const GroupSums sums = batch_of(groups, static_cast<std::size_t>(state.range(1)));
  RobustSettings settings;
  settings.mode = RobustMode::kGroupRobust;
  GroupWeights weights(settings, std::vector<double>(groups, 2.0), 2.0 * static_cast<double>(groups));
  std::vector<double> weight(sums.group.size());
  for (auto _ : state) weights.step(sums, weight);
  benchmark::DoNotOptimize(weight.data());
}
BENCHMARK(MirrorAscent)
    ->ArgNames({"groups", "one_in"})
    ->Args({2, 1})
    ->Args({1'000'000, 10'000})
    ->Args({1'000'000, 1})
    ->Unit(benchmark::kMicrosecond);

// Sets other than the simplex look at all groups in every step, and sort them.
void ClosedForm(benchmark::State& state) {
  const auto groups = static_cast<std::size_t>(state.range(0));
  const GroupSums sums = batch_of(groups, 1);
  RobustSettings settings;
  settings.mode = RobustMode::kGroupRobust;
  settings.ambiguity_set = static_cast<AmbiguitySet>(state.range(1));
  settings.kappa = 0.3;
  settings.rho = 1;
  settings.tau = 0.5;
  GroupWeights weights(settings, std::vector<double>(groups, 2.0), 2.0 * static_cast<double>(groups));
  std::vector<double> weight(sums.group.size());
  for (auto _ : state) weights.step(sums, weight);
  benchmark::DoNotOptimize(weight.data());
}
BENCHMARK(ClosedForm)
    ->ArgNames({"groups", "set"})
    ->ArgsProduct({{2, 1'000'000}, {1, 2, 3}})  // cvar, chi_square, kl
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace equipoise
