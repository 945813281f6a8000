// One optimiser step over parameters whose .grad holds the whole gradient.
//   g <- g * min(1, max_grad_norm / (|g| + 1e-6))          |g| over all parameters; 0: no clipping
//   then the rule of the job's optimiser, worker/optimizer/update_rule.h, at the rate of its schedule,
//   worker/optimizer/learning_rate.h
// A bfloat16 parameter has a float32 master copy that the rule moves, and is its rounded image after every step:
// a bfloat16 number cannot take a step below a 256th of itself.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/config/job_config.h"
#include "worker/model/decoder.h"
#include "worker/optimizer/learning_rate.h"
#include "worker/optimizer/update_rule.h"

namespace equipoise {

struct OptimizerResult {
  double grad_norm = 0;      // global 2-norm before clipping
  double learning_rate = 0;  // used by this update
};

// What a checkpoint keeps of an optimiser, beside the parameters and the step.
struct OptimizerState {
  std::vector<NamedTensor> tensors;  // PARAMETER.STATE, PARAMETER.master; the optimiser's own memory, not a copy
  ScheduleState schedule;
};

// Decay exclusions by parameter name: "norm" and ".bias". Moments are in the parameters' type, float32 for bfloat16.
// Not thread-safe.
class Optimizer {
 public:
  // total_steps: of the plan; the schedules `linear` and `cosine` end there. The parameters must live as long.
  Optimizer(const OptimizerConfig& config, const std::vector<NamedTensor>& parameters, std::int64_t total_steps = 0);

  // `step` counts updates done before this one. Every parameter must have a .grad of its own shape, which clipping
  // scales, float32 for a bfloat16 parameter. A norm that is not finite changes nothing and is returned.
  OptimizerResult step(std::int64_t step);
  // The largest group loss of an evaluation, for the schedule `plateau`; the same on every rank.
  void observe_evaluation(double worst_group_loss) { schedule_.observe(worst_group_loss); }
  // As LearningRateSchedule; Muon's rate for other parameters changes in proportion.
  void set_learning_rate(double learning_rate) { schedule_.set_learning_rate(learning_rate); }

  OptimizerState state() const;
  // Continues from a recorded state, bit by bit, once the parameters are those of that time. Throws
  // std::invalid_argument naming the tensor that is missing, superfluous or of another shape or type; nothing is
  // changed then.
  void restore(const OptimizerState& state);

 private:
  OptimizerConfig config_;
  LearningRateSchedule schedule_;
  std::vector<torch::Tensor> parameters_;
  std::vector<NamedTensor> masters_;        // of the bfloat16 parameters
  std::vector<torch::Tensor> with_master_;  // those parameters
  std::unique_ptr<UpdateRule> rule_;
};

}  // namespace equipoise
