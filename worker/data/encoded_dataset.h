// A data set of preference pairs as token ids, the way TRL 1.16 or the authors' code makes them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/dataset/data_fields.h"
#include "common/dataset/preference_pair.h"
#include "common/huggingface/tokenizer.h"
#include "worker/data/encode_settings.h"
#include "worker/data/encoded_pairs.h"

namespace equipoise {

struct EncodedDataset {
  EncodedPairs pairs;                    // in the order of the file, without the dropped ones, which it knows too
  std::vector<std::string> group_names;  // ids as in the memberships
  std::vector<double> pair_count_K;      // N_g = sum_i v_i m[i,g]
  std::vector<std::int64_t> dropped_count_K, shortened_count_K;  // pairs of each group: left out; with tokens cut off
  // Kept pairs of each group: whose prompt's end became part of the answers' tokens; whose answers begin with the
  // prompt again (pair_texts.h). Empty: none.
  std::vector<std::int64_t> merged_prompt_count_K = {}, repeated_prompt_count_K = {};
  // The same three over all groups, each pair once.
  std::int64_t num_shortened = 0, num_merged_prompts = 0, num_repeated_prompts = 0;
  DataFields fields = {};  // of the file; append() leaves them alone

  std::size_t size() const { return pairs.size(); }
  EncodedPair pair(std::size_t i) const { return pairs[i]; }
  // All pairs of `more` after these. Its first groups are these, with the same ids; further ones are added. Throws
  // std::invalid_argument naming the first group that is another.
  void append(EncodedDataset more);
};

// A tokenizer with its end-of-sequence token, from a Hugging Face folder. EOS is the first found of eos_token in
// tokenizer_config.json or special_tokens_map.json and eos_token_id in config.json.
// Throws std::invalid_argument naming the file that is missing or wrong.
struct ModelTokenizer {
  Tokenizer tokenizer;
  std::string eos_token;
  std::int32_t eos_id = 0;
};
ModelTokenizer load_model_tokenizer(const std::filesystem::path& folder);

// Tokenises all pairs (pair_texts.h) and cuts them to length (pair_encoder.h). With TRL's tokenisation the prompt
// ends where the shortest common prefix of its ids with those of prompt+answer ends, and the rest belongs to the
// answers; where a token of the prompt itself is lost so, the pair counts in merged_prompt_count_K. Throws
// std::invalid_argument when no pair is left, or max_length < 1, and what pair_texts() throws.
EncodedDataset encode_pairs(const PreferenceData& data, const ModelTokenizer& tokenizer, const EncodeSettings& settings,
                            int threads);
EncodedDataset encode_pairs(const PreferenceData& data, const ModelTokenizer& tokenizer, int max_length, int threads,
                            Answers answers = Answers::kBoth);

// SHA-256 over ids, memberships, shares, weights and given reference log-probs of all pairs, in order, and group names.
// Lengths are part of it, so no two data sets run into each other.
std::array<std::byte, 32> dataset_digest(const EncodedDataset& dataset);

}  // namespace equipoise
