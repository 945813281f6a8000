// A quantity over training: its mean over seeds and how sure that is.
#pragma once

#include <vector>

#include "experiments/report/statistics.h"

namespace equipoise::reproduce {

// Both of the same length.
struct Series {
  std::vector<double> iteration;
  std::vector<Estimate> over_seeds;
};

}  // namespace equipoise::reproduce
