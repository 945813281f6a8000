// Pairs as token ids, some at a time: memory does not grow with the data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/dataset/preference_pair.h"
#include "worker/data/encode_settings.h"
#include "worker/data/encoded_pair.h"
#include "worker/data/pair_truncation.h"

namespace equipoise {

// Not thread-safe.
class PairEncoder {
 public:
  // `tokenizer` and `settings` outlive it, and chat_templates are needed when messages come. Throws
  // std::invalid_argument for a max_length below 1.
  PairEncoder(const ModelTokenizer& tokenizer, const EncodeSettings& settings, int threads);

  // The next pairs of the data, texts or messages. Throws PairRefused (pair_texts.h).
  EncodedPairs encode(std::span<const PreferencePair> pairs);

  // At the end: names and counts of all that encode() was given, without pairs. `group_names` are those of the data.
  // Throws std::invalid_argument where none of them is kept.
  EncodedDataset finish(std::vector<std::string> group_names);

 private:
  void encode_alike(std::span<const PreferencePair> pairs, EncodedPairs& encoded);
  void add(PairIds ids, const PreferencePair& pair, EncodedPairs& encoded);
  void count(const Truncated& truncated, bool merged, const PreferencePair& pair);

  const ModelTokenizer& tokenizer_;
  const EncodeSettings& settings_;
  int threads_;
  std::size_t num_pairs_ = 0, num_kept_ = 0;
  EncodedDataset counts_;  // without pairs
};

}  // namespace equipoise
