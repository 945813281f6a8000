// One optimiser step over parameters whose .grad holds the whole gradient.
#pragma once

#include <cstdint>
#include <vector>

#include "common/config/job_config.h"
#include "worker/model/decoder.h"

namespace equipoise {

struct OptimizerResult {
  double grad_norm = 0;      // global 2-norm before clipping
  double learning_rate = 0;  // used by this update
};

// AdamW (decoupled decay, LibTorch's fused kernel) or SGD. Learning rate lr * min(1, step / warmup_steps), step from 0.
// Clipping by min(1, max_grad_norm / (norm + 1e-6)). Decay exclusions by parameter name: "norm" and ".bias".
class Optimizer {
 public:
  Optimizer(const OptimizerConfig& config, const std::vector<NamedTensor>& parameters);
  // `step` counts updates done before this one. Every parameter must have a .grad of its own shape.
  OptimizerResult step(std::int64_t step);

 private:
  OptimizerConfig config_;
  std::vector<torch::Tensor> parameters_;
  std::vector<torch::Tensor> exp_avg_, exp_avg_sq_, steps_;
  std::vector<bool> decays_;
};

}  // namespace equipoise
