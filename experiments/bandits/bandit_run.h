// The data sets of the experiment, all that is run on each, and all of them on several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "common/log_linear/problem.h"
#include "experiments/bandits/bandit_experiment.h"

namespace equipoise::reproduce {

struct BanditOptions {
  log_linear::FeatureMap features = log_linear::FeatureMap::kSwapped;
  std::uint64_t first_seed = 1;
  std::uint64_t seeds = 20;
  std::int64_t most_iterations = 0;  // shortens the runs that are longer; 0: all as published
};

// After `iteration` steps. Losses on the validation pairs, reward errors on the test states.
struct Checkpoint {
  std::int64_t iteration = 0;
  std::vector<double> validation_loss_K;
  std::vector<double> reward_error_K;
  std::vector<double> alpha_K;
};

double max_validation_loss(const Checkpoint& checkpoint);
double mean_validation_loss(const Checkpoint& checkpoint);  // over groups, each counting alike
double max_reward_error(const Checkpoint& checkpoint);

struct GapPoint {
  std::int64_t iteration = 0;
  double primal = 0;  // of the averaged iterates, on the training pairs
  double dual = 0;
  double gap = 0;
};

using Trajectory = std::vector<Checkpoint>;
using GapTrajectory = std::vector<GapPoint>;

struct BanditRun {
  std::uint64_t seed = 0;
  std::vector<Trajectory> methods;                 // in the order of kMethods
  std::vector<std::vector<Checkpoint>> trade_off;  // [Family][kTradeOffs] at the end of the run
  std::vector<GapTrajectory> gaps;                 // in the order of kGapMethods
};

// A pure function: the same arguments give the same bits, whatever else runs.
// Throws std::invalid_argument if the data cannot be solved, and std::runtime_error naming scenario, method and seed if
// a loss stops being finite.
BanditRun run_bandit(const Scenario& scenario, const BanditOptions& options, std::uint64_t seed);

// All data sets of the experiment, on several threads.
struct BanditResults {
  BanditOptions options;
  std::vector<std::vector<BanditRun>> runs;  // [paper_scenarios()][seeds]
};

// Called after each data set, by one thread at a time.
using Progress = std::function<void(std::size_t done, std::size_t all)>;

// The results do not depend on `threads` (>= 1). The first failure ends the experiment and is thrown as it was.
// Throws std::invalid_argument on fewer than 2 or more than 10,000 seeds, a negative number of iterations or no thread.
BanditResults run_bandits(const BanditOptions& options, std::size_t threads, const Progress& progress);

}  // namespace equipoise::reproduce
