// What a checkpoint says of itself: manifest.json, beside the files with the tensors. The file has its own digest, and
// is read only if it is byte by byte what its content makes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/base/sha256.h"
#include "common/dataset/shard_plan.h"
#include "common/robust/group_weights.h"

namespace equipoise {

inline constexpr char kManifestName[] = "manifest.json";

// Keeps the order of insertion: people read this file too.
using CheckpointJson = nlohmann::ordered_json;

struct CheckpointFile {
  std::string name;  // relative to the checkpoint's folder, below which it is
  std::int64_t bytes = 0;
  Digest sha256{};
};

struct CheckpointManifest {
  std::string program;  // that wrote it, with its version
  std::string job_id;
  std::int64_t generation = 0;  // of the attempt
  std::int64_t step = 0;        // steps done
  std::string time;             // UTC, ISO 8601
  std::string job;              // YAML, every default filled in
  ShardPlan plan;
  Digest dataset{};  // of the training pairs as they are tokenised: tokenizer and data
  GroupWeightsState weights;
  CheckpointJson training;  // of the training loop: counts, early stopping
  CheckpointJson policy;    // the policy's own numbers, and the digests of the models it began with
  // metrics.jsonl up to here.
  std::int64_t metrics_bytes = 0;
  Digest metrics_sha256{};
  // ledger.bin up to here, and what its last seal says (common/ledger/ledger_record.h); 0: there was none.
  std::int64_t ledger_bytes = 0;
  Digest ledger_chain{};
  std::vector<CheckpointFile> files;

  std::int64_t bytes() const;  // of all files
};

// Numbers that JSON has no form for are texts there: "NaN", "Infinity", "-Infinity". The rest reads back to the same
// bits.
CheckpointJson json_of(double value);
CheckpointJson json_of(const std::vector<double>& values);
CheckpointJson json_of(const ScheduleState& state);
// Throw std::invalid_argument "FIELD ..." where the object has no such field or it is of another type.
double double_at(const CheckpointJson& object, const char* field);
std::int64_t integer_at(const CheckpointJson& object, const char* field);          // >= 0
const CheckpointJson& object_at(const CheckpointJson& object, const char* field);  // whatever it is
bool flag_at(const CheckpointJson& object, const char* field);
std::string text_at(const CheckpointJson& object, const char* field);
std::vector<double> doubles_at(const CheckpointJson& object, const char* field);
Digest digest_at(const CheckpointJson& object, const char* field);
ScheduleState schedule_at(const CheckpointJson& object, const char* field);

// The text of the file.
std::string manifest_text(const CheckpointManifest& manifest);
// SHA-256 of that text: by which one checkpoint is told from another.
Digest manifest_digest(const CheckpointManifest& manifest);

// Throws std::invalid_argument as read_manifest(), without the file's name.
CheckpointManifest parse_manifest(const std::string& text);
// Of the checkpoint in `folder`. Throws std::invalid_argument "FOLDER/manifest.json: ..." where it is not there, is not
// what was written, or a newer program wrote it.
CheckpointManifest read_manifest(const std::filesystem::path& folder);

}  // namespace equipoise
