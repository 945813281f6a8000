#include "worker/data/encoded_pair.h"

#include <algorithm>
#include <optional>
#include <span>
#include <stdexcept>

#include "common/config/job_config.h"
#include "worker/data/pair_texts.h"
#include "worker/data/pair_truncation.h"

namespace equipoise {
namespace {

using Ids = std::vector<std::int32_t>;

// Texts of so many pairs are in memory at once, besides the data itself.
constexpr std::size_t kPairsAtOnce = 4096;

std::size_t common_prefix(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  const auto [end_a, end_b] = std::ranges::mismatch(a, b);
  return static_cast<std::size_t>(end_a - a.begin());
}

// From the ids of prompt, prompt+chosen and prompt+rejected.
PairIds without_common_prefix(std::span<Ids> lists) {
  std::size_t length = lists[0].size();
  for (const Ids& sequence : lists.subspan(1)) length = std::min(length, common_prefix(lists[0], sequence));
  lists[0].resize(length);
  for (Ids& sequence : lists.subspan(1)) {
    sequence.erase(sequence.begin(), sequence.begin() + static_cast<std::ptrdiff_t>(length));
  }
  PairIds ids{.prompt = std::move(lists[0]), .chosen = std::move(lists[1]), .rejected = {}};
  if (lists.size() > 2) ids.rejected = std::move(lists[2]);
  return ids;
}

PairIds with_end(std::span<Ids> lists, std::int32_t eos_id) {
  for (Ids& answer : lists.subspan(1)) answer.push_back(eos_id);
  PairIds ids{.prompt = std::move(lists[0]), .chosen = std::move(lists[1]), .rejected = {}};
  if (lists.size() > 2) ids.rejected = std::move(lists[2]);
  return ids;
}

class PairEncoder {
 public:
  PairEncoder(const PreferenceData& data, const ModelTokenizer& tokenizer, const EncodeSettings& settings, int threads)
      : data_(data), tokenizer_(tokenizer), settings_(settings), threads_(threads) {
    const std::size_t K = data.group_names.size();
    dataset_.group_names = data.group_names;
    dataset_.pair_count_K.resize(K);
    dataset_.dropped_count_K.resize(K);
    dataset_.shortened_count_K.resize(K);
  }

  // Pairs that are all texts or all messages.
  void append(std::span<const PreferencePair> pairs) {
    PairTexts texts = pair_texts(pairs, data_.source, tokenizer_, settings_, threads_);
    auto ids = tokenizer_.tokenizer.encode_batch(texts.texts, texts.special, threads_);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const std::span of_pair = std::span(ids).subspan(i * texts.per_pair, texts.per_pair);
      const bool apart = settings_.tokenization == Tokenization::kAuthors;
      add(apart ? with_end(of_pair, tokenizer_.eos_id) : without_common_prefix(of_pair), pairs[i]);
    }
  }

  EncodedDataset take() && { return std::move(dataset_); }

 private:
  void add(PairIds ids, const PreferencePair& pair) {
    const Truncated truncated = truncate_pair(settings_, ids);
    if (truncated.dropped) return drop(*truncated.dropped, pair);
    for (const Membership& membership : pair.memberships) {
      dataset_.pair_count_K[membership.group] += membership.weight;
      dataset_.shortened_count_K[membership.group] += truncated.shortened ? 1 : 0;
    }
    dataset_.pairs.add(
        {.prompt_ids = ids.prompt,
         .chosen_ids = ids.chosen,
         .rejected_ids = ids.rejected ? std::span<const std::int32_t>(*ids.rejected) : std::span<const std::int32_t>(),
         .memberships = pair.memberships,
         .chosen_share = pair.chosen_share});
  }

  void drop(const DropCause& cause, const PreferencePair& pair) {
    for (const Membership& membership : pair.memberships) ++dataset_.dropped_count_K[membership.group];
    dataset_.pairs.add_dropped(pair.memberships, cause);
  }

  const PreferenceData& data_;
  const ModelTokenizer& tokenizer_;
  const EncodeSettings& settings_;
  int threads_;
  EncodedDataset dataset_;
};

// How many pairs from `begin` on have its form, at most kPairsAtOnce.
std::size_t batch_size(std::span<const PreferencePair> pairs, std::size_t begin) {
  const auto rest = pairs.subspan(begin, std::min(kPairsAtOnce, pairs.size() - begin));
  const auto other = std::ranges::find_if(rest, [&](const auto& pair) { return pair.form != rest.front().form; });
  return static_cast<std::size_t>(other - rest.begin());
}

std::string nothing_left(std::size_t pairs, const EncodeSettings& settings) {
  std::string what = "none of the " + std::to_string(pairs);
  what += settings.truncation == Truncation::kDrop ? " pairs is within" : " prompts is shorter than";
  return what + " max_length = " + std::to_string(settings.max_length) + " tokens";
}

}  // namespace

EncodedDataset encode_pairs(const PreferenceData& data, const ModelTokenizer& tokenizer, const EncodeSettings& settings,
                            int threads) {
  if (settings.max_length < 1) {
    throw std::invalid_argument("max_length is " + std::to_string(settings.max_length) + ", expected 1 or more");
  }
  PairEncoder encoder(data, tokenizer, settings, threads);
  for (std::size_t begin = 0; begin < data.pairs.size();) {
    const std::size_t size = batch_size(data.pairs, begin);
    encoder.append(std::span(data.pairs).subspan(begin, size));
    begin += size;
  }
  EncodedDataset dataset = std::move(encoder).take();
  if (dataset.pairs.empty()) throw std::invalid_argument(nothing_left(data.pairs.size(), settings));
  return dataset;
}

EncodedDataset encode_pairs(const PreferenceData& data, const ModelTokenizer& tokenizer, int max_length, int threads,
                            Answers answers) {
  return encode_pairs(data, tokenizer, EncodeSettings{.max_length = max_length, .answers = answers}, threads);
}

}  // namespace equipoise
