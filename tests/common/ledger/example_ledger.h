// A ledger as a job of three groups writes it.
#pragma once

#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/ledger/ledger_replay.h"
#include "common/ledger/ledger_writer.h"

namespace equipoise {

inline const std::string kExampleJob =
    "name: even\nmodel: {path: /model}\ndata: {train: /train.jsonl}\nrobust: {mode: group_robust, step_size: 0.005}\n"
    "output: /out\n";

inline LedgerStart example_start() {
  LedgerStart start{.dataset = sha256_of(std::as_bytes(std::span(std::string_view("data")))),
                    .group_names = {"north", "south", "east"},
                    .counted_K = {100, 50, 10.5},
                    .counted_pairs = 160,
                    .population_K = {100, 50, 10.5},
                    .population_pairs = 160,
                    .label_floor_K = {},
                    .first_step = 0,
                    .weights = {}};
  start.weights = GroupWeights(config_of_job(kExampleJob).robust.settings, start.population_K, 160).state();
  return start;
}

inline LedgerAttempt example_attempt(std::int64_t generation) {
  LedgerAttempt attempt{.program = "equipoise-worker 1",
                        .job_id = "even-1a2b3c4d",
                        .generation = generation,
                        .device = "cpu",
                        .threads = 1,
                        .plan = {.seed = 18446744073709551615U, .num_pairs = 160, .global_batch_size = 4},
                        .job = kExampleJob,
                        .job_file = sha256_of({}),
                        .origin = {}};
  attempt.plan.end_step = 600;
  return attempt;
}

// Steps [first, end) with the weights that follow, as replayed by `weights`.
inline void write_steps(LedgerWriter& ledger, GroupWeights& weights, std::int64_t first, std::int64_t end) {
  for (std::int64_t step = first; step < end; ++step) {
    const double wave = static_cast<double>(step % 7) / 7;
    GroupSums sums{.group = {0, 2}, .loss_sum = {1.5 + wave, 0.7 - wave}, .pair_count = {2, 1.5}, .batch_pairs = 4};
    if (step % 3 == 0) {
      sums = {.group = {0, 1, 2}, .loss_sum = {1, 2 * wave, 0.1}, .pair_count = {2, 1, 1}, .batch_pairs = 4};
    }
    std::vector<std::uint32_t> skipped;
    if (step == 5) {
      skipped = {1};
      sums = {.group = {1}, .loss_sum = {0}, .pair_count = {4}, .batch_pairs = 4};
    }
    std::vector<double> weight(sums.group.size());
    weights.step(sums, skipped, weight);
    ledger.step({.step = step,
                 .group = sums.group,
                 .loss_sum = sums.loss_sum,
                 .pair_count = sums.pair_count,
                 .batch_pairs = sums.batch_pairs,
                 .skipped = skipped,
                 .weight = weight});
    if (is_block_end(step + 1)) ledger.close_block(step + 1, weights.state());
  }
}

inline GroupWeights example_weights() {
  const LedgerStart start = example_start();
  GroupWeights weights(config_of_job(kExampleJob).robust.settings, start.population_K, start.population_pairs);
  weights.restore(start.weights);
  return weights;
}

inline LedgerEnd example_end(std::int64_t steps, std::vector<double> alpha_K) {
  return {.final_step = steps,
          .state = sha256_of({}),
          .alpha_K = std::move(alpha_K),
          .files = {{.name = "theta.json", .bytes = 3, .sha256 = sha256_of({})}},
          .metrics_bytes = 0,
          .metrics_sha256 = sha256_of({})};
}

// A whole one of so many steps. Returns where it ends.
//   steps_bytes  as LedgerWriter
inline LedgerPosition write_ledger(const std::filesystem::path& path, std::int64_t steps,
                                   std::int64_t steps_bytes = std::numeric_limits<std::int64_t>::max()) {
  LedgerWriter ledger(path, {}, steps_bytes);
  GroupWeights weights = example_weights();
  ledger.start(example_start());
  ledger.attempt(example_attempt(1));
  write_steps(ledger, weights, 0, steps);
  ledger.close_block(steps, weights.state());
  return ledger.end(example_end(steps, weights.alpha_K()));
}

}  // namespace equipoise
