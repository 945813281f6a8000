// The texts of a pair that are tokenised, as TRL 1.16 or the authors' code does it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/dataset/preference_pair.h"
#include "worker/data/encode_settings.h"
#include "worker/data/encoded_dataset.h"

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

// A pair that has no texts, or texts that the tokenizer refuses; who reads the file knows where it is.
class PairRefused : public std::invalid_argument {
 public:
  PairRefused(const PreferencePair& pair, const std::string& what) : std::invalid_argument(what), line_(pair.line) {}
  std::int64_t line() const { return line_; }  // PreferencePair::line

 private:
  std::int64_t line_;
};

// `pairs` are all texts or all messages. Throws PairRefused: messages without a template, or which it refuses.
PairTexts pair_texts(std::span<const PreferencePair> pairs, const ModelTokenizer& tokenizer,
                     const EncodeSettings& settings, int threads);

// Answers that hold the prompt once more.

// Whether every answer begins with the prompt, which stands before it anyhow: of messages with all of the prompt's or
// its last ones, of texts with all of it where it has 16 bytes or more.
bool repeats_prompt(const PreferencePair& pair, Answers answers);

}  // namespace equipoise
