// Pairs as token ids, cut to the lengths a job allows, some at a time: memory does not grow with the data.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/dataset/preference_pair.h"
#include "worker/data/encode_settings.h"
#include "worker/data/encoded_dataset.h"
#include "worker/data/encoded_pairs.h"

namespace equipoise {

struct PairTexts;

struct PairIds {
  std::vector<std::int32_t> prompt, chosen;
  std::optional<std::vector<std::int32_t>> rejected;
  bool merged = false;  // tokens of the prompt's end are none of it, as they are others with an answer behind them

  std::size_t longest_answer() const;
};

// What became of a pair.
struct Truncated {
  bool shortened = false;  // it has lost tokens
  std::optional<DropCause> dropped = {};
};

// L = max_length, P = max_prompt_length, m = tokens of the longer answer. After a cut prompt+answer has at most L
// tokens.
//   TRL       a prompt of more than P tokens keeps its first (keep_start) or last (keep_end) P. Then keep_start: a
//   prompt
//             of L or more is dropped, answers keep their first L - prompt. keep_end: the prompt keeps its last
//             max(L - m, 1), answers their first L - prompt.
//   authors   where prompt + m > L the prompt is cut to P, and where it still is, answers keep their first L - P.
//   drop      a prompt of more than P (TRL) or a pair with prompt + m > L is dropped, nothing is cut.
Truncated truncate_pair(const EncodeSettings& settings, PairIds& ids);

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
  std::vector<std::vector<std::int32_t>> ids_of(const PairTexts& texts, std::span<const PreferencePair> pairs) const;
  void add(PairIds ids, const PreferencePair& pair, EncodedPairs& encoded);
  void count(const Truncated& truncated, bool merged, const PreferencePair& pair);

  const ModelTokenizer& tokenizer_;
  const EncodeSettings& settings_;
  int threads_;
  std::size_t num_pairs_ = 0, num_kept_ = 0;
  EncodedDataset counts_;  // without pairs
};

}  // namespace equipoise
