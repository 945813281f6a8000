// A few steps of the small Gemma of golden/lm on pairs of one length, with any optimiser, type and division of work.
#pragma once

#include <torch/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config/job_config.h"

namespace equipoise {

struct SmallTraining {
  OptimizerConfig optimizer{};
  torch::Dtype dtype = torch::kFloat64;
  int world_size = 1;
  std::int64_t micro_batch_pairs = 16;  // on each rank
  std::int64_t steps = 4;               // of 16 pairs; the fifth takes the pairs of the first again
  bool recomputes_layers = false;
  std::int64_t prompts = 64;              // that the 64 pairs have, one after the other
  std::optional<LoraSettings> lora = {};  // train a new adapter, with its dropout
  WeightUpdate update = WeightUpdate::kBeforeGradient;
};

struct SmallResult {
  std::vector<double> loss;                         // of every step
  std::map<std::string, torch::Tensor> parameters;  // after the last
  std::map<std::string, torch::Tensor> state;       // of the optimiser
};

// What rank 0 sees.
SmallResult train(const SmallTraining& training);

// Largest distance of an element of the parameters.
double largest_distance(const SmallResult& a, const SmallResult& b);

}  // namespace equipoise
