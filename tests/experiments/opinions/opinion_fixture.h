// Results of an experiment whose numbers follow from a formula.
#pragma once

#include "experiments/opinions/opinion_results.h"

namespace equipoise::reproduce {

// Loss of group g at step t of the run of method m with seed s: 1 + 0.1 g - 0.05 m t + 0.01 s. Accuracies rise from 0.5
// by 0.1 t and fall by 0.02 g; alpha is that of the group-robust methods 2 and 5 only.
inline OpinionRun opinion_run(std::size_t method, std::uint64_t seed, std::size_t groups) {
  OpinionRun run{seed, {}, {}};
  const auto m = static_cast<double>(method), s = static_cast<double>(seed);
  for (const std::int64_t step : {0, 1, 2}) {
    OpinionEvaluation evaluation{step, {}};
    WeightPoint weights{step, {}};
    for (std::size_t g = 0; g < groups; ++g) {
      const auto t = static_cast<double>(step), of_g = static_cast<double>(g);
      evaluation.groups_K.push_back({.loss = 1 + 0.1 * of_g - 0.05 * m * t + 0.01 * s,
                                     .reward_accuracy = 0.5 + 0.1 * t - 0.02 * of_g + 0.001 * s,
                                     .log_prob_accuracy = 0.6 + 0.1 * t - 0.02 * of_g + 0.001 * s});
      weights.alpha_K.push_back(1 / static_cast<double>(groups));
    }
    if (method % 3 == 2) {
      const double moved = 0.02 * static_cast<double>(step) + 0.001 * s;
      weights.alpha_K.front() -= moved;
      weights.alpha_K.back() += moved;
    }
    run.evaluations.push_back(evaluation);
    run.weights.push_back(weights);
  }
  return run;
}

inline OpinionResults opinion_results() {
  OpinionResults results;
  results.survey = "the survey <invented>.csv";
  results.model = "a model & its tokenizer";
  results.jobs = built_in_opinion_jobs(OpinionScale::kQuick);
  results.groups = {"Nigeria", "India (Current national sample)", "<script>"};
  results.sizes_K = {{80, 20}, {40, 10}, {20, 5}};
  for (const std::uint64_t seed : {4U, 5U, 6U}) results.sft.push_back(opinion_run(0, seed, 3));
  for (std::size_t m = 0; m < kOpinionMethods.size(); ++m) {
    results.runs.emplace_back();
    for (const std::uint64_t seed : {4U, 5U, 6U}) results.runs[m].push_back(opinion_run(m, seed, 3));
  }
  return results;
}

}  // namespace equipoise::reproduce
