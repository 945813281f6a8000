// What the runs of the language-model experiment left in their metrics.jsonl.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "experiments/opinions/opinion_jobs.h"
#include "experiments/report/statistics.h"

namespace equipoise::reproduce {

// Of one group's validation pairs.
struct GroupMeasures {
  double loss = 0;
  double reward_accuracy = 0;    // share of pairs whose chosen reward is above the rejected one; NaN for SFT
  double log_prob_accuracy = 0;  // share of pairs whose chosen log-probability is; NaN for SFT
};

struct OpinionEvaluation {
  std::int64_t step = 0;
  std::vector<GroupMeasures> groups_K;
};

struct WeightPoint {
  std::int64_t step = 0;
  std::vector<double> alpha_K;  // after the step
};

struct OpinionRun {
  std::uint64_t seed = 0;
  std::vector<OpinionEvaluation> evaluations;  // the first before any step, the last after all
  std::vector<WeightPoint> weights;            // from step 0 on
};

// Reads a run's metrics.jsonl, groups in the order of `groups`. Throws std::invalid_argument naming file and line for
// what is not such a file, and std::runtime_error naming the step and the group for a number that is not finite.
OpinionRun read_opinion_run(const std::filesystem::path& metrics, const std::vector<std::string>& groups,
                            std::uint64_t seed);

struct GroupSize {
  std::size_t train_pairs = 0;
  std::size_t validation_pairs = 0;
};

struct OpinionResults {
  std::string survey;  // its name, for people
  std::string model;
  OpinionJobs jobs;
  std::vector<std::string> groups;                         // [K]
  std::vector<GroupSize> sizes_K;                          // with the first seed
  std::vector<OpinionRun> sft;                             // [seeds]
  std::vector<std::vector<OpinionRun>> runs;               // [kOpinionMethods][seeds]
  const std::vector<OpinionRun>& of(Method method) const;  // of kOpinionMethods
};

using OpinionMeasure = std::function<double(const OpinionEvaluation&)>;

double max_group_loss(const OpinionEvaluation& evaluation);
double mean_group_loss(const OpinionEvaluation& evaluation);    // each group counting alike
double group_loss_spread(const OpinionEvaluation& evaluation);  // largest - smallest
double min_reward_accuracy(const OpinionEvaluation& evaluation);
double min_log_prob_accuracy(const OpinionEvaluation& evaluation);
OpinionMeasure loss_of(std::size_t group);
OpinionMeasure reward_accuracy_of(std::size_t group);
OpinionMeasure log_prob_accuracy_of(std::size_t group);

// A value a seed: before the first step, after the last.
std::vector<double> start_values(const std::vector<OpinionRun>& runs, const OpinionMeasure& measure);
std::vector<double> final_values(const std::vector<OpinionRun>& runs, const OpinionMeasure& measure);
std::vector<double> final_weights(const std::vector<OpinionRun>& runs, std::size_t group);

// Points that all seeds have, at the steps of the first.
Series measure_series(const std::vector<OpinionRun>& runs, const OpinionMeasure& measure);
Series weight_series(const std::vector<OpinionRun>& runs, std::size_t group);

}  // namespace equipoise::reproduce
