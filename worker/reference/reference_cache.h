// The reference's log-probabilities kept between runs: jobs that differ in loss, seed or step size alone compute them
// once. An entry is named by the digest of all they depend on, and checked when it is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "common/base/sha256.h"
#include "worker/data/encoded_dataset.h"
#include "worker/reference/answer_log_probs.h"

namespace equipoise {

// SHA-256 over config.json as it is, and the names, types, shapes and bytes of all tensors, ascending by name: how they
// are spread over files does not matter. Reads the folder once and keeps nothing of it.
// With an adapter, over its adapter_config.json and tensors as well.
// Throws std::invalid_argument as Decoder::load, for what it can see without the model's layout.
//   on_progress  called after each tensor; may throw
Digest model_digest(const std::filesystem::path& folder, const std::filesystem::path& adapter = {},
                    const std::function<void()>& on_progress = {});

// How the numbers were computed; another way gives other last bits.
struct LogProbArithmetic {
  std::string dtype;   // "float32"
  std::string device;  // "cpu", "cuda"
  std::int64_t token_budget = 0;
};

// SHA-256 over the model, the ids of all pairs, in order (so tokenizer, template and truncation are in it; groups are
// not), the arithmetic and the version of the entries' format.
Digest reference_key(const Digest& model, const EncodedPairs& pairs, const LogProbArithmetic& arithmetic);

// One entry. No process waits for another: writers of one key write the same, and the last one stays.
class ReferenceCacheEntry {
 public:
  // In the cache folder `folder` (common/base/cache_folder.h).
  ReferenceCacheEntry(const std::filesystem::path& folder, const Digest& key);

  const std::filesystem::path& path() const { return path_; }

  struct Found {
    std::optional<AnswerLogProbs> values;
    std::string fault;  // why the file that is there is not used; empty where there is none
  };
  // The values of `num_pairs` pairs. A file that is not whole, not of this key, or changed is a fault. Does not throw.
  Found read(std::size_t num_pairs) const;

  // Written aside, on disk, then renamed. Returns why it could not be kept, empty if it is: a cache that cannot be
  // written is no reason to fail. Does not throw.
  std::string write(const AnswerLogProbs& values) const;

 private:
  std::filesystem::path path_;
  Digest key_;
};

}  // namespace equipoise
