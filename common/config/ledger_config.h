// Section `ledger` of a job: its settings, their defaults, ranges and checks.
#pragma once

#include <cstdint>

namespace equipoise {

namespace v1 {
class LedgerSpec;
}  // namespace v1

struct LedgerConfig {
  std::int64_t steps_bytes = std::int64_t{1} << 30;  // of ledger.bin up to which every step has a record of its own
};

inline constexpr std::int64_t kMostLedgerMib = 1'000'000'000;

// Throws std::invalid_argument as make_job_config.
LedgerConfig ledger_config(const v1::LedgerSpec& spec);

// Back to the message, every default filled in.
void resolve_ledger(const LedgerConfig& config, v1::LedgerSpec& spec);

}  // namespace equipoise
