// What the ledger of a run holds: ledger.bin in its output (docs/decisions/0018-receipts.md). The file is the 24 bytes
// of kLedgerMagic, then records, each
//
//   kind, one byte; length of the content, a varint; the content
//
// A seal's content is the SHA-256 of the weights that were answered for the steps since the seal before (float64 as
// they lie in memory), and then the chain: the SHA-256 of the chain of the seal before (of the magic, for the first
// one) and of every byte from there to here. So each seal vouches for all that is before it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/sha256.h"
#include "common/checkpoint/checkpoint_manifest.h"
#include "common/dataset/shard_plan.h"
#include "common/robust/group_weights.h"

namespace equipoise {

inline constexpr const char* kLedgerName = "ledger.bin";     // in the output
inline constexpr const char* kReceiptName = "receipt.json";  // beside it, once the run has ended
inline constexpr std::string_view kLedgerMagic = "equipoise ledger, 1    \n";
inline constexpr std::int64_t kStepsPerSeal = 256;  // a seal after every so many steps done, and before a checkpoint
inline constexpr std::size_t kSealBytes = 64;
inline constexpr std::uint64_t kLargestRecord = std::uint64_t{64} << 20;

// In the file, by its letter.
enum class LedgerKind : char {
  kStart = 'd',       // the data, and the weights before the first step
  kAttempt = 'a',     // ranks have begun, or gone on
  kStep = 's',        // common/ledger/step_bytes.h
  kBlock = 'b',       // many steps in a row, without a record each
  kSettings = 'c',    // settings that were changed while the job ran
  kCheckpoint = 'p',  // a checkpoint is whole
  kEnd = 'e',         // the model is saved
  kSeal = '#',
};

// "step", for messages.
const char* kind_name(LedgerKind kind);
bool is_ledger_kind(char letter);

// Blocks of steps end after these numbers of steps: every 4096, and once millions are done after twice as many each
// time that the steps have doubled, so that the blocks of any run are few.
std::int64_t block_end(std::int64_t steps_done);
inline bool is_block_end(std::int64_t steps_done) { return steps_done > 0 && block_end(steps_done - 1) == steps_done; }

// The beginning of a ledger that ends with a seal: its bytes and the seal's chain. 0 bytes: none.
struct LedgerPosition {
  std::int64_t bytes = 0;
  Digest chain{};
  bool operator==(const LedgerPosition&) const = default;
};

// All below but the step are JSON objects in the file. The functions ..._of throw std::invalid_argument "FIELD ...".

// Of all attempts alike.
struct LedgerStart {
  Digest dataset{};  // of the training pairs as they are tokenised: tokenizer and data
  std::vector<std::string> group_names;
  std::vector<double> counted_K;  // N_g and N as counted in the data
  double counted_pairs = 0;
  std::vector<double> population_K;  // as the population has them
  double population_pairs = 0;
  std::vector<double> label_floor_K;  // or empty
  std::int64_t first_step = 0;
  GroupWeightsState weights;  // before it
};

// The checkpoint that an attempt has gone on from.
struct LedgerOrigin {
  std::string job_id = {};  // that made it; empty where an earlier version has written the record
  std::int64_t step = 0;
  Digest manifest{};
  Digest parameters{};
};

struct LedgerAttempt {
  std::string program;  // with its version
  std::string job_id;
  std::int64_t generation = 0;
  std::string device;  // "cpu", "cuda"
  int threads = 1;     // of each rank
  ShardPlan plan;
  std::string job;    // YAML, every default filled in
  Digest job_file{};  // of job.yaml
  std::optional<LedgerOrigin> origin;
};

// Steps that have no records of their own (ledger.steps_mib).
struct LedgerBlock {
  std::int64_t first_step = 0;  // steps done before it
  std::int64_t steps = 0;
  Digest contents{};          // SHA-256 of what their records would hold, one after the other
  Digest answered{};          // of the weights that were answered for them, as a seal has it
  GroupWeightsState weights;  // after them, as the coordinator has it
};

struct LedgerSettings {
  std::int64_t version = 0;
  std::int64_t step = 0;    // steps done when they took effect: the next one was the first with them
  CheckpointJson settings;  // an object; fields of TrainingJobSettings that are in force from here on
};

struct LedgerCheckpoint {
  std::int64_t generation = 0;
  std::int64_t step = 0;  // steps done
  Digest manifest{};
  Digest parameters{};  // parameters_digest()
};

struct LedgerEnd {
  std::int64_t final_step = 0;
  Digest state{};  // of the trained parameters, as every rank has told the coordinator
  std::vector<double> alpha_K;
  std::vector<CheckpointFile> files;  // of final/
  std::int64_t metrics_bytes = 0;
  Digest metrics_sha256{};
};

std::string record_text(const LedgerStart& start);
std::string record_text(const LedgerAttempt& attempt);
std::string record_text(const LedgerBlock& block);
std::string record_text(const LedgerSettings& settings);
std::string record_text(const LedgerCheckpoint& checkpoint);
std::string record_text(const LedgerEnd& end);

LedgerStart start_of_record(std::string_view text);
LedgerAttempt attempt_of_record(std::string_view text);
LedgerBlock block_of_record(std::string_view text);
LedgerSettings settings_of_record(std::string_view text);
LedgerCheckpoint checkpoint_of_record(std::string_view text);
LedgerEnd end_of_record(std::string_view text);

// Of the tensors of a checkpoint: SHA-256 over the name and the digest of each of its files with tensors, in the order
// of the manifest.
Digest parameters_digest(const CheckpointManifest& manifest);

}  // namespace equipoise
