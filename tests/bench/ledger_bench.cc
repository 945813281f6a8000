// What recording a step costs, with its share of a seal's hash and of the writes.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "common/ledger/ledger_reader.h"
#include "common/ledger/ledger_writer.h"

namespace equipoise {
namespace {

void RecordStep(benchmark::State& state) {
  const auto groups = static_cast<std::uint32_t>(state.range(0));
  std::vector<std::uint32_t> group;
  std::vector<double> loss_sum, pair_count, weight;
  for (std::uint32_t g = 0; g < groups; ++g) {
    group.push_back(g);
    loss_sum.push_back(0.6931 + 1e-7 * g);
    pair_count.push_back(2);
    weight.push_back(1.0 / groups);
  }
  const std::filesystem::path file = std::filesystem::temp_directory_path() / "equipoise-ledger-bench.bin";
  {
    LedgerWriter ledger(file);
    std::int64_t step = 0;
    for (auto _ : state) {
      ledger.step({.step = step++,
                   .group = group,
                   .loss_sum = loss_sum,
                   .pair_count = pair_count,
                   .batch_pairs = 2.0 * groups,
                   .skipped = {},
                   .weight = weight});
    }
  }
  state.counters["bytes_a_step"] = benchmark::Counter(static_cast<double>(std::filesystem::file_size(file)) /
                                                      static_cast<double>(state.iterations()));
  std::filesystem::remove(file);
}
BENCHMARK(RecordStep)->ArgName("groups")->Arg(2)->Arg(50)->Arg(4096)->Unit(benchmark::kNanosecond);

// The steps of $EQUIPOISE_BENCH_LEDGER, a run's ledger, recorded once more.
void RecordRun(benchmark::State& state) {
  const char* const run = std::getenv("EQUIPOISE_BENCH_LEDGER");
  if (run == nullptr) {
    state.SkipWithError("EQUIPOISE_BENCH_LEDGER names no ledger");
    return;
  }
  constexpr std::size_t kMostSteps = 100'000;
  std::vector<StoredStep> steps;
  LedgerReader reader(run);
  LedgerRecord record;
  while (steps.size() < kMostSteps && reader.next(record)) {
    if (record.kind == LedgerKind::kStep) steps.push_back(step_of_bytes(record.content));
  }
  const std::filesystem::path file = std::filesystem::temp_directory_path() / "equipoise-ledger-bench.bin";
  for (auto _ : state) {
    LedgerWriter ledger(file);
    for (const StoredStep& step : steps) {
      ledger.step({.step = step.step,
                   .group = step.sums.group,
                   .loss_sum = step.sums.loss_sum,
                   .pair_count = step.sums.pair_count,
                   .batch_pairs = step.sums.batch_pairs,
                   .skipped = step.skipped,
                   .weight = step.sums.loss_sum});
    }
  }
  state.SetItemsProcessed(state.iterations() * std::ssize(steps));
  std::filesystem::remove(file);
}
BENCHMARK(RecordRun)->UseRealTime()->Unit(benchmark::kMillisecond);

// A step that is a part of a block.
void RecordStepOfBlock(benchmark::State& state) {
  const std::vector<std::uint32_t> group = {0, 1};
  const std::vector<double> loss_sum = {0.6931, 0.25}, pair_count = {2, 2}, weight = {0.5, 0.5};
  const GroupWeightsState after{.log_alpha_K = {-0.7, -0.7}, .group_loss_K = {}, .step_size = {}};
  const std::filesystem::path file = std::filesystem::temp_directory_path() / "equipoise-ledger-bench.bin";
  {
    LedgerWriter ledger(file, {}, 0);
    std::int64_t step = 0;
    for (auto _ : state) {
      ledger.step({.step = step++,
                   .group = group,
                   .loss_sum = loss_sum,
                   .pair_count = pair_count,
                   .batch_pairs = 4,
                   .skipped = {},
                   .weight = weight});
      if (is_block_end(step)) ledger.close_block(step, after);
    }
  }
  state.counters["bytes_a_step"] = benchmark::Counter(static_cast<double>(std::filesystem::file_size(file)) /
                                                      static_cast<double>(state.iterations()));
  std::filesystem::remove(file);
}
BENCHMARK(RecordStepOfBlock)->Unit(benchmark::kNanosecond);

}  // namespace
}  // namespace equipoise
