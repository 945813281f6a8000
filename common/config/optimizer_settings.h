// Sections `optimizer` and `training.early_stopping` of a job, checked. Defaults stand here.
#pragma once

#include <cstdint>
#include <string>

#include "common/robust/step_schedule.h"

namespace equipoise {

enum class OptimizerType { kAdamW, kSgd, kRmsProp, kMuon };
enum class MuonScale { kMatchRmsAdamW, kOriginal };
enum class ScheduleType { kConstant, kLinear, kCosine, kPlateau };
enum class StopMode { kMin, kMax };

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

struct EarlyStoppingConfig {
  std::string metric;
  StopMode mode = StopMode::kMin;
  std::int64_t patience = 3;
  double min_delta = 0.0;
  bool keep_best = false;
};

}  // namespace equipoise
