#include "worker/data/encoded_pair.h"

#include <algorithm>
#include <optional>
#include <span>
#include <stdexcept>

namespace equipoise {
namespace {

using Ids = std::vector<std::int32_t>;

// Texts of so many pairs are in memory at once, besides the data itself.
constexpr std::size_t kPairsAtOnce = 4096;

std::string with_eos(const std::string& answer, const std::string& eos_token) {
  return answer.ends_with(eos_token) ? answer : answer + eos_token;
}

std::size_t common_prefix(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  const auto [end_a, end_b] = std::ranges::mismatch(a, b);
  return static_cast<std::size_t>(end_a - a.begin());
}

// What follows the prompt, cut where prompt and answer together reach max_length.
Ids answer_ids(const Ids& sequence, std::size_t prompt_length, std::size_t max_length) {
  const std::size_t end = std::min(sequence.size(), max_length);
  return {sequence.begin() + static_cast<std::ptrdiff_t>(prompt_length),
          sequence.begin() + static_cast<std::ptrdiff_t>(end)};
}

struct EncodedTexts {
  Ids prompt;
  Ids prompt_chosen;
  std::optional<Ids> prompt_rejected;
};

// Nothing if the prompt leaves no room for an answer.
std::optional<EncodedPair> join(EncodedTexts texts, std::size_t max_length) {
  std::size_t length = common_prefix(texts.prompt, texts.prompt_chosen);
  if (texts.prompt_rejected) length = std::min(length, common_prefix(texts.prompt, *texts.prompt_rejected));
  if (length >= max_length) return std::nullopt;
  texts.prompt.resize(length);
  EncodedPair pair{.prompt_ids = std::move(texts.prompt),
                   .chosen_ids = answer_ids(texts.prompt_chosen, length, max_length),
                   .rejected_ids = {},
                   .memberships = {}};
  if (texts.prompt_rejected) pair.rejected_ids = answer_ids(*texts.prompt_rejected, length, max_length);
  return pair;
}

class PairEncoder {
 public:
  PairEncoder(const ModelTokenizer& tokenizer, std::size_t max_length, int threads, Answers answers)
      : tokenizer_(tokenizer), max_length_(max_length), threads_(threads), answers_(answers) {}

  void append(std::span<const PreferencePair> pairs, EncodedDataset& dataset) const {
    auto ids = tokenizer_.tokenizer.encode_batch(texts(pairs), SpecialTokens::kAdd, threads_);
    const std::size_t stride = ids.size() / pairs.size();
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      Ids* const of_pair = &ids[i * stride];
      const std::size_t prompt_tokens = of_pair[0].size();
      EncodedTexts encoded{
          .prompt = std::move(of_pair[0]), .prompt_chosen = std::move(of_pair[1]), .prompt_rejected = {}};
      if (answers_ == Answers::kBoth) encoded.prompt_rejected = std::move(of_pair[2]);
      if (auto pair = join(std::move(encoded), max_length_)) {
        keep(*std::move(pair), pairs[i], dataset);
      } else {
        drop(prompt_tokens, pairs[i], dataset);
      }
    }
  }

 private:
  std::vector<std::string> texts(std::span<const PreferencePair> pairs) const {
    std::vector<std::string> result;
    for (const PreferencePair& pair : pairs) {
      result.push_back(pair.prompt);
      result.push_back(pair.prompt + with_eos(pair.chosen, tokenizer_.eos_token));
      if (answers_ == Answers::kBoth) result.push_back(pair.prompt + with_eos(pair.rejected, tokenizer_.eos_token));
    }
    return result;
  }

  void drop(std::size_t prompt_tokens, const PreferencePair& pair, EncodedDataset& dataset) const {
    ++dataset.dropped_pairs;
    dataset.dropped.push_back(
        {.position = static_cast<std::int64_t>(dataset.pairs.size() + dataset.dropped.size()),
         .memberships = pair.memberships,
         .reason = "its prompt of " + std::to_string(prompt_tokens) +
                   " tokens leaves no room for an answer within max_length = " + std::to_string(max_length_)});
  }

  static void keep(EncodedPair encoded, const PreferencePair& pair, EncodedDataset& dataset) {
    for (const Membership& membership : pair.memberships) {
      dataset.pair_count_K[membership.group] += membership.weight;
    }
    encoded.memberships = pair.memberships;
    encoded.chosen_share = pair.chosen_share;
    dataset.pairs.push_back(std::move(encoded));
  }

  const ModelTokenizer& tokenizer_;
  std::size_t max_length_;
  int threads_;
  Answers answers_;
};

}  // namespace

EncodedDataset encode_pairs(const PreferenceData& data, const ModelTokenizer& tokenizer, int max_length, int threads,
                            Answers answers) {
  if (max_length < 1)
    throw std::invalid_argument("max_length is " + std::to_string(max_length) + ", expected 1 or more");
  EncodedDataset dataset;
  dataset.group_names = data.group_names;
  dataset.pair_count_K.resize(data.group_names.size());
  const PairEncoder encoder(tokenizer, static_cast<std::size_t>(max_length), threads, answers);
  const std::span<const PreferencePair> pairs = data.pairs;
  for (std::size_t begin = 0; begin < pairs.size(); begin += kPairsAtOnce) {
    encoder.append(pairs.subspan(begin, std::min(kPairsAtOnce, pairs.size() - begin)), dataset);
  }
  if (dataset.pairs.empty()) {
    throw std::invalid_argument("none of the " + std::to_string(pairs.size()) +
                                " prompts is shorter than max_length = " + std::to_string(max_length) + " tokens");
  }
  return dataset;
}

}  // namespace equipoise
