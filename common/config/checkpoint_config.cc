#include "common/config/checkpoint_config.h"

#include "common/config/field_check.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

CheckpointConfig checkpoint_config(const v1::CheckpointSpec& spec) {
  constexpr std::int64_t kLongestPause = 10'000'000;
  CheckpointConfig config;
  if (spec.has_every_steps()) {
    config.every_steps = checked_integer("checkpoint.every_steps", spec.every_steps(), {0, kMaxSteps});
    config.every = std::chrono::seconds(0);
  }
  if (spec.has_every_seconds()) {
    config.every =
        std::chrono::seconds(checked_integer("checkpoint.every_seconds", spec.every_seconds(), {0, kLongestPause}));
  }
  if (spec.has_keep()) config.keep = static_cast<int>(checked_integer("checkpoint.keep", spec.keep(), {1, kMaxInt32}));
  return config;
}

void resolve_checkpoint(const CheckpointConfig& config, v1::CheckpointSpec& spec) {
  spec.set_every_steps(config.every_steps);
  spec.set_every_seconds(config.every.count());
  spec.set_keep(config.keep);
}

}  // namespace equipoise
