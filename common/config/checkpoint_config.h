// Section `checkpoint` of a job: its settings, their defaults, ranges and checks.
#pragma once

#include <chrono>
#include <cstdint>

namespace equipoise {

namespace v1 {
class CheckpointSpec;
}  // namespace v1

struct CheckpointConfig {
  std::int64_t every_steps = 0;     // 0: none by steps
  std::chrono::seconds every{600};  // 0: none by time
  int keep = 2;

  bool is_on() const { return every_steps > 0 || every.count() > 0; }
};

// Throws std::invalid_argument as make_job_config.
CheckpointConfig checkpoint_config(const v1::CheckpointSpec& spec);

// Back to the message, every default filled in.
void resolve_checkpoint(const CheckpointConfig& config, v1::CheckpointSpec& spec);

}  // namespace equipoise
