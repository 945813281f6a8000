// Writes a run's ledger while it trains: rank 0.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/descriptor.h"
#include "common/base/disk_fault.h"
#include "common/ledger/ledger_record.h"
#include "common/ledger/step_bytes.h"

namespace equipoise {

// What a LedgerBlock is made from, while steps are added.
struct OpenLedgerBlock {
  std::int64_t first_step = 0, steps = 0;
  Sha256 contents, answered;
};

// Records wait in memory until there are 64 KiB of them, half a second has passed or somebody must be able to rely on
// them; then they reach the file together. Steps, checkpoints and the rest may come from several threads. All throw
// as throw_write_fault().
class LedgerWriter {
 public:
  // Makes the file anew, or goes on after `kept`, its beginning, after which it is cut off. Throws
  // std::invalid_argument where it cannot be written, DiskFault where the disk is full.
  //   steps_bytes  of the file up to which every step has a record of its own
  explicit LedgerWriter(std::filesystem::path path, const LedgerPosition& kept = {},
                        std::int64_t steps_bytes = std::numeric_limits<std::int64_t>::max());
  // Seals and writes what is there, as far as the disk lets it.
  ~LedgerWriter();
  LedgerWriter(const LedgerWriter&) = delete;
  LedgerWriter& operator=(const LedgerWriter&) = delete;

  // Who waits for room on the disk from now on, while others wait for this; without, or while it is destroyed, nobody.
  void set_patience(DiskPatience patience) { patience_ = std::move(patience); }

  void start(const LedgerStart& start);
  void attempt(const LedgerAttempt& attempt);
  void settings(const LedgerSettings& settings);
  void checkpoint(const LedgerCheckpoint& checkpoint);
  // Seals it by itself after every kStepsPerSeal steps done. Beyond steps_bytes it becomes a part of a block.
  void step(const LedgerStep& step);
  // A block is open that ends with this step: close_block() is due, with the weights after it, before the next step,
  // settings, a checkpoint that relies on the step, and the end.
  bool has_block() const;
  // Does nothing where none is open. `steps_done`: with the steps of the block.
  void close_block(std::int64_t steps_done, const GroupWeightsState& weights);
  // With what is not written yet.
  std::int64_t bytes() const;
  // For who has just added steps, and will add no more for a while.
  void write_if_late();

  // Everything so far but an open block is sealed and in the file (not yet on disk).
  LedgerPosition seal();
  // The last record, with no block open. All is on disk then.
  LedgerPosition end(const LedgerEnd& end);

  const std::filesystem::path& path() const { return path_; }

 private:
  void add(LedgerKind kind, std::string_view content);
  void add_seal();
  void hash_pending();
  void write_pending();
  void try_to_write();

  const std::filesystem::path path_;
  const std::int64_t steps_bytes_;
  DiskPatience patience_;
  mutable std::mutex mutex_;  // guards all below
  Descriptor file_;
  std::string pending_;     // not yet in the file
  std::size_t hashed_ = 0;  // of it, into chain_
  std::string content_;     // of a step; kept for its memory
  std::int64_t bytes_ = 0;  // with what is pending
  Sha256 chain_;            // of the chain before and the bytes since
  Digest sealed_{};
  std::int64_t sealed_bytes_ = 0;
  Sha256 weights_;  // of the steps since the last seal
  std::chrono::steady_clock::time_point written_at_;
  std::optional<OpenLedgerBlock> block_;
};

}  // namespace equipoise
