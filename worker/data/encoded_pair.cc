#include "worker/data/encoded_pair.h"

#include <algorithm>
#include <span>
#include <stdexcept>
#include <utility>

#include "worker/data/pair_encoder.h"
#include "worker/data/pair_texts.h"

namespace equipoise {
namespace {

// Texts of so many pairs are in memory at once, besides the data itself.
constexpr std::size_t kPairsAtOnce = 4096;

}  // namespace

EncodedDataset encode_pairs(const PreferenceData& data, const ModelTokenizer& tokenizer, const EncodeSettings& settings,
                            int threads) try {
  PairEncoder encoder(tokenizer, settings, threads);
  EncodedPairs pairs;
  for (std::span<const PreferencePair> rest(data.pairs); !rest.empty();) {
    const auto chunk = rest.first(std::min(kPairsAtOnce, rest.size()));
    pairs.append(encoder.encode(chunk));
    rest = rest.subspan(chunk.size());
  }
  EncodedDataset dataset = encoder.finish(data.group_names);
  dataset.pairs = std::move(pairs);
  return dataset;
} catch (const PairRefused& refused) {
  throw std::invalid_argument(data.source + ":" + std::to_string(refused.line()) + ": " + refused.what());
}

EncodedDataset encode_pairs(const PreferenceData& data, const ModelTokenizer& tokenizer, int max_length, int threads,
                            Answers answers) {
  return encode_pairs(data, tokenizer, EncodeSettings{.max_length = max_length, .answers = answers}, threads);
}

}  // namespace equipoise
