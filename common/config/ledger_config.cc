#include "common/config/ledger_config.h"

#include "common/config/field_check.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {
namespace {

constexpr int kMibBits = 20;

}  // namespace

LedgerConfig ledger_config(const v1::LedgerSpec& spec) {
  LedgerConfig config;
  if (!spec.has_steps_mib()) return config;
  config.steps_bytes = checked_integer("ledger.steps_mib", spec.steps_mib(), {0, kMostLedgerMib}) << kMibBits;
  return config;
}

void resolve_ledger(const LedgerConfig& config, v1::LedgerSpec& spec) {
  spec.set_steps_mib(config.steps_bytes >> kMibBits);
}

}  // namespace equipoise
