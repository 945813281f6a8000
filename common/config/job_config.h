// A job's settings, checked once: each program makes a `const JobConfig` of a JobSpec and hands it on. A section has
// one home, SECTION_config.h and .cc, with its settings, their defaults, ranges and checks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "common/config/checkpoint_config.h"
#include "common/config/data_config.h"
#include "common/config/evaluation_config.h"
#include "common/config/launch_config.h"
#include "common/config/ledger_config.h"
#include "common/config/log_linear_config.h"
#include "common/config/logging_config.h"
#include "common/config/loss_config.h"
#include "common/config/model_config.h"
#include "common/config/optimizer_config.h"
#include "common/config/robust_config.h"
#include "common/config/training_config.h"

namespace equipoise {

namespace v1 {
class JobSpec;
}  // namespace v1

inline constexpr std::size_t kLongestJobName = 63;

struct JobConfig {
  std::string name;
  std::optional<LogLinearConfig> log_linear;  // the policy, in place of `model`
  ModelConfig model;
  DataConfig data;
  LossConfig loss;
  RobustConfig robust;
  OptimizerConfig optimizer;
  TrainingConfig training;
  std::int64_t evaluation_every_steps = 0;
  LoggingConfig logging;
  LaunchConfig launch;
  CheckpointConfig checkpoint;
  LedgerConfig ledger;
  std::filesystem::path output;
  bool overwrite = false;
};

// Fills in defaults and checks every range. Throws std::invalid_argument naming the field (as in YAML:
// `loss.beta`), the value and what would be right. Does not touch the file system.
JobConfig make_job_config(const v1::JobSpec& spec);

// `spec` with every default filled in, for job.yaml of a run. `config` is make_job_config(spec).
v1::JobSpec resolve_defaults(const v1::JobSpec& spec, const JobConfig& config);

}  // namespace equipoise
