#include "common/config/logging_config.h"

#include "common/config/field_check.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {
LoggingConfig logging_config(const v1::LoggingSpec& spec) {
  LoggingConfig config;
  if (spec.has_every_steps()) {
    config.every_steps = checked_integer("logging.every_steps", spec.every_steps(), {1, kMaxSteps});
  }
  for (const std::int64_t step : spec.at_steps()) {
    const std::int64_t lowest = config.at_steps.empty() ? 1 : config.at_steps.back() + 1;  // ascending
    config.at_steps.push_back(checked_integer("logging.at_steps", step, {lowest, kMaxSteps}));
  }
  config.tensorboard = spec.tensorboard();
  if (spec.has_pair_shares_mib()) {
    config.pair_shares_mib = static_cast<std::int32_t>(
        checked_integer("logging.pair_shares_mib", spec.pair_shares_mib(), {0, kMostPairSharesMib}));
  }
  return config;
}

void check_logging_combinations(const v1::LoggingSpec& spec) {
  if (spec.at_steps().empty() || !spec.has_every_steps()) return;
  refuse_combination("logging has both every_steps and at_steps; remove one of them");
}

void resolve_logging(const LoggingConfig& config, v1::LoggingSpec& spec) {
  if (config.at_steps.empty()) spec.set_every_steps(config.every_steps);
  spec.set_tensorboard(config.tensorboard);
  spec.set_pair_shares_mib(config.pair_shares_mib);
}

}  // namespace equipoise
