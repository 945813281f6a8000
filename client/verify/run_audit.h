// Whether what a run has left is what its ledger vouches for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/ledger/ledger_record.h"

namespace equipoise {

struct AuditSettings {
  std::optional<Digest> chain = {};                 // kept elsewhere: what the ledger's last seal has to say
  std::function<void(std::int64_t)> on_bytes = {};  // bytes read since the call before
};

// One check, for people.
struct AuditLine {
  std::string what;    // "ledger", "checkpoints"
  std::string result;  // of a fault: FILE, place, what was found and what was expected
  bool is_fault = false;
};

struct AuditedAttempt {
  LedgerAttempt attempt;
  std::int64_t first_step = 0;  // steps done before its first one
};

// Steps [first, end) that the ledger has no records of, but one digest.
struct StepBlock {
  std::int64_t first = 0, end = 0;
};

struct WholeCheckpoint {
  std::int64_t step = 0;
  std::filesystem::path folder;
};

struct RunAudit {
  std::vector<AuditLine> lines;
  LedgerStart start;
  std::vector<AuditedAttempt> attempts;
  std::vector<LedgerSettings> settings;
  std::vector<StepBlock> blocks;              // ascending
  std::vector<LedgerCheckpoint> checkpoints;  // that are on record
  std::optional<LedgerEnd> end;
  LedgerPosition sealed;               // the last seal
  std::int64_t steps_done = 0;         // on record
  std::vector<WholeCheckpoint> whole;  // that are there and as recorded, ascending

  std::size_t faults() const;
};

// What there is to read, about.
std::int64_t audited_bytes(const std::filesystem::path& run);

// Throws std::invalid_argument where `run` is no folder or has no ledger. Where the ledger itself is at fault nothing
// else is looked at.
RunAudit audit_run(const std::filesystem::path& run, const AuditSettings& settings);

}  // namespace equipoise
