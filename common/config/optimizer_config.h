// Section `optimizer` of a job: its settings, their defaults, ranges and checks.
#pragma once

#include <cstdint>

#include "common/robust/step_schedule.h"

namespace equipoise {

namespace v1 {
class JobSpec;
class OptimizerSpec;
}  // namespace v1
struct JobConfig;

enum class OptimizerType { kAdamW, kSgd, kRmsProp, kMuon };
enum class MuonScale { kMatchRmsAdamW, kOriginal };
enum class ScheduleType { kConstant, kLinear, kCosine, kPlateau };

struct OptimizerConfig {
  OptimizerType type = OptimizerType::kAdamW;
  double learning_rate = 1e-5;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  bool decay_norms = true;
  bool decay_biases = true;
  double max_grad_norm = 1.0;  // 0: no clipping
  std::int64_t warmup_steps = 0;
  ScheduleType schedule = ScheduleType::kConstant;
  // Of the learning rate, observing evaluations. `patience` is one more than the job's: it counts up to the evaluation
  // that shrinks the rate.
  PlateauSettings plateau{.factor = 0.1, .patience = 11, .threshold = 1e-4, .smallest = 0};
  double momentum = 0.0;    // RMSprop, Muon
  double smoothing = 0.99;  // RMSprop
  MuonScale muon_scale = MuonScale::kMatchRmsAdamW;
  double adamw_learning_rate = 0.0;  // Muon
};

// Defaults differ by the policy of `job`. Throws std::invalid_argument as make_job_config.
OptimizerConfig optimizer_config(const v1::JobSpec& job);

// Settings that another optimiser, another schedule or an evaluation would need. Throws std::invalid_argument naming
// the field and the next move.
void check_optimizer_combinations(const v1::JobSpec& spec, const JobConfig& config);

// Back to the message: what the optimiser uses, every default filled in.
void resolve_optimizer(const OptimizerConfig& config, v1::OptimizerSpec& spec);

}  // namespace equipoise
