// What keeping the pairs of each step costs, and how fast a step of a long run is found again.
#include <benchmark/benchmark.h>

#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/robust/shares_file.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace {

constexpr std::int64_t kBudget = std::int64_t{64} << 20;
constexpr std::int64_t kSteps = 100'000;

SharesHeader header_of(std::size_t groups) {
  SharesHeader header{.budget = kBudget, .groups = {}, .files = {"train.jsonl"}};
  for (std::size_t g = 0; g < groups; ++g) header.groups.push_back("group " + std::to_string(g));
  return header;
}

// All groups, `pairs` of each.
std::vector<GroupShares> groups_of(std::size_t groups, std::size_t pairs, std::int64_t step) {
  std::mt19937_64 random(static_cast<std::uint64_t>(step));
  std::lognormal_distribution<double> loss(-0.4, 1.0);
  std::vector<GroupShares> result(groups);
  for (std::size_t g = 0; g < groups; ++g) {
    std::vector<PairShare> shares;
    for (std::size_t i = 0; i < pairs; ++i) {
      shares.push_back({.file = 0, .row = static_cast<std::int64_t>(random() % 1'000'000), .share = loss(random)});
    }
    result[g] = {.group = static_cast<std::uint32_t>(g),
                 .step = step,
                 .loss_sum = 1,
                 .pair_count = static_cast<double>(pairs),
                 .alpha_before = loss(random),
                 .alpha_after = loss(random)};
    set_shares(std::move(shares), result[g]);
  }
  return result;
}

// A step of K groups with eight pairs each: choosing and keeping them.
void KeepsShares(benchmark::State& state) {
  const auto groups = static_cast<std::size_t>(state.range(0));
  const TempFolder folder;
  SharesWriter writer(folder.path(), header_of(groups), 0);
  const std::vector<GroupShares> step = groups_of(groups, 12, 1);
  std::int64_t steps = 0;
  for (auto _ : state) {
    std::vector<GroupShares> shares = step;
    for (GroupShares& group : shares) {
      std::vector<PairShare> pairs = group.top;
      set_shares(std::move(pairs), group);
      group.step = steps + 1;
    }
    writer.add(++steps, std::move(shares));
  }
  state.counters["bytes"] = static_cast<double>(writer.bytes());
}
BENCHMARK(KeepsShares)->Arg(2)->Arg(8)->Arg(200)->Arg(4096);

// Opens the files of 10^5 steps of 200 groups and reads a step.
void FindsAStep(benchmark::State& state) {
  const TempFolder folder;
  {
    SharesWriter writer(folder.path(), header_of(200), 0);
    std::vector<std::vector<GroupShares>> some;
    for (std::int64_t i = 0; i < 64; ++i) some.push_back(groups_of(200, 12, i));
    for (std::int64_t step = 1; step <= kSteps; ++step) {
      std::vector<GroupShares> shares = some[static_cast<std::size_t>(step * 7919 % 64)];
      for (GroupShares& group : shares) group.step = step;
      writer.add(step, std::move(shares));
    }
    writer.write_open();
    state.counters["bytes"] = static_cast<double>(writer.bytes());
  }
  std::mt19937_64 random(1);
  std::string why;
  for (auto _ : state) {
    const auto reader = SharesReader::open(folder.path(), why);
    benchmark::DoNotOptimize(reader->block(reader->find(static_cast<std::int64_t>(random() % kSteps) + 1)));
    state.counters["blocks"] = static_cast<double>(reader->blocks());
  }
}
BENCHMARK(FindsAStep)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace equipoise
