// The ledger of a run, as rank 0 keeps it (docs/decisions/0018-receipts.md).
#pragma once

#include <spdlog/logger.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/disk_fault.h"
#include "common/ledger/ledger_writer.h"
#include "worker/training/attempt.h"
#include "worker/training/checkpoint_reader.h"
#include "worker/training/metrics_file.h"

namespace equipoise {

// Who writes: what a ledger says of an attempt besides its training.
struct LedgerAuthor {
  std::string program;
  AttemptId attempt;
  std::string device;
  int threads = 1;
  std::string job;  // YAML, every default filled in
};

struct LedgerOpening {
  const LedgerAuthor& author;
  const RobustConfig& robust;
  const LedgerConfig& settings;
  const GroupedData& data;
  const StartedTraining& started;
  const FoundCheckpoint* checkpoint = nullptr;  // that the run goes on from; null: from the start
  bool is_kept = false;                         // the ledger up to there is in place
};

// Says before, and when, steps get no records of their own any more.
class LedgerWatch {
 public:
  // Both outlive it.
  LedgerWatch(spdlog::logger& log, const LedgerConfig& settings) : log_(log), settings_(settings) {}
  // Cheap; between steps.
  void look(const LedgerWriter& ledger, std::int64_t steps_done);

 private:
  spdlog::logger& log_;
  const LedgerConfig& settings_;
  bool has_warned_ = false, has_told_ = false;
};

// What `changed` says, as it is recorded before the step that follows `steps_done` others.
LedgerSettings ledger_settings(std::int64_t version, std::int64_t steps_done, const v1::TrainingJobSettings& changed);

// Opens OUTPUT/ledger.bin and writes what this attempt begins with. job.yaml is in place.
std::unique_ptr<LedgerWriter> open_ledger(const std::filesystem::path& output, const LedgerOpening& opening);

// The end of a run whose model is in OUTPUT/final and whose metrics are all written: the ledger's last record, and
// receipt.json, on disk. Returns the chain of its last seal.
//   checkpoint  as opening
//   patience    of who waits for room for receipt.json; the ledger has its own
//   on_bytes    called as the model's files are read
Digest finish_ledger(LedgerWriter& ledger, const std::filesystem::path& output, const LedgerOpening& opening,
                     LedgerEnd end, const DiskPatience& patience, const std::function<void(std::int64_t)>& on_bytes);

}  // namespace equipoise
