// One optimiser step over parameters whose .grad holds the whole gradient.
//   g <- g * min(1, max_grad_norm / (|g| + 1e-6))          |g| over all parameters; 0: no clipping
//   AdamW  m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2
//          p <- (1 - lr decay) p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)    Loshchilov, Hutter 2019
//   SGD    p <- (1 - lr decay) p - lr g
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

// Learning rate lr * min(1, step / warmup_steps), step from 0, as Hugging Face's constant_with_warmup. Decay exclusions
// by parameter name: "norm" and ".bias". Moments are in the parameters' type. Not thread-safe.
class Optimizer {
 public:
  Optimizer(const OptimizerConfig& config, const std::vector<NamedTensor>& parameters);
  // `step` counts updates done before this one. Every parameter must have a .grad of its own shape, which clipping
  // scales. A norm that is not finite changes nothing and is returned.
  OptimizerResult step(std::int64_t step);

 private:
  // Parameters that share a weight decay; the lists have one length.
  struct Group {
    double weight_decay = 0;
    std::vector<torch::Tensor> parameters;
    std::vector<torch::Tensor> exp_avg, exp_avg_sq, steps;  // AdamW's m, v and t
  };
  void add(Group& group, const torch::Tensor& parameter) const;
  void update(Group& group, double learning_rate) const;

  OptimizerConfig config_;
  std::vector<torch::Tensor> parameters_;
  Group decayed_, undecayed_;
};

}  // namespace equipoise
