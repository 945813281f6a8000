// Section `logging` of a job: its settings, their defaults, ranges and checks.
#pragma once

#include <cstdint>
#include <vector>

namespace equipoise {

namespace v1 {
class LoggingSpec;
}  // namespace v1

inline constexpr std::int64_t kMostPairSharesMib = 1'000'000;

struct LoggingConfig {
  std::int64_t every_steps = 1;
  std::vector<std::int64_t> at_steps;  // ascending; if not empty, exactly these
  bool tensorboard = false;
  std::int32_t pair_shares_mib = 64;  // of pair_shares.bin and its index; 0: none is kept
};

// Throws std::invalid_argument as make_job_config.
LoggingConfig logging_config(const v1::LoggingSpec& spec);

// Settings that contradict each other.
void check_logging_combinations(const v1::LoggingSpec& spec);

// Back to the message, every default filled in.
void resolve_logging(const LoggingConfig& config, v1::LoggingSpec& spec);

}  // namespace equipoise
