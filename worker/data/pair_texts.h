// The texts of a pair that are tokenised, as TRL 1.16 or the authors' code does it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "worker/data/encode_settings.h"
#include "worker/data/encoded_pair.h"

namespace equipoise {

// For every pair the prompt's text, then one for each answer.
//   TRL, texts      prompt, prompt+answer, each answer ending in the end-of-sequence token; special tokens are added
//   TRL, messages   the same, rendered by the chat template: the prompt with the start of an answer, then prompt and
//                   answer; the template writes special tokens itself
//   authors         prompt, answer; no special tokens
struct PairTexts {
  std::vector<std::string> texts;
  SpecialTokens special;
  std::size_t per_pair;
};

// `pairs` are all texts or all messages, and of the file `source`.
// Throws std::invalid_argument "SOURCE:LINE: ...": messages without a template, or which it refuses.
PairTexts pair_texts(std::span<const PreferencePair> pairs, const std::string& source, const ModelTokenizer& tokenizer,
                     const EncodeSettings& settings, int threads);

}  // namespace equipoise
