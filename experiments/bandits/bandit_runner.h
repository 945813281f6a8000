// All data sets of the experiment, on several threads.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "experiments/bandits/bandit_run.h"

namespace equipoise::reproduce {

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
