// What recording a step costs, with its share of a seal's hash and of the writes.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <filesystem>
#include <vector>

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

}  // namespace
}  // namespace equipoise
