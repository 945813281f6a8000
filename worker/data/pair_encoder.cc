#include "worker/data/pair_encoder.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "common/config/job_config.h"
#include "worker/data/pair_texts.h"

namespace equipoise {
namespace {

using Ids = std::vector<std::int32_t>;

class Cutter {
 public:
  explicit Cutter(PairIds& ids) : ids_(ids) {}

  void cut_prompt(std::size_t length, Truncation truncation) {
    if (ids_.prompt.size() <= length) return;
    const auto lost = static_cast<std::ptrdiff_t>(ids_.prompt.size() - length);
    if (truncation == Truncation::kKeepEnd) ids_.prompt.erase(ids_.prompt.begin(), ids_.prompt.begin() + lost);
    ids_.prompt.resize(length);
    result_.shortened = true;
  }

  void cut_answers(std::size_t length) {
    cut_end(ids_.chosen, length);
    if (ids_.rejected) cut_end(*ids_.rejected, length);
  }

  void drop(DropCause::What what, std::size_t tokens, int limit) {
    result_.dropped = {
        .what = what, .tokens = static_cast<std::uint32_t>(tokens), .limit = static_cast<std::uint32_t>(limit)};
  }
  const Truncated& result() const { return result_; }

 private:
  void cut_end(Ids& answer, std::size_t length) {
    if (answer.size() <= length) return;
    answer.resize(length);
    result_.shortened = true;
  }

  PairIds& ids_;
  Truncated result_;
};

void drop_long(const EncodeSettings& settings, const PairIds& ids, Cutter& cutter) {
  const std::size_t total = ids.prompt.size() + ids.longest_answer();
  const bool own_limit = settings.tokenization == Tokenization::kTrl && settings.max_prompt_length;
  if (own_limit && ids.prompt.size() > static_cast<std::size_t>(*settings.max_prompt_length)) {
    cutter.drop(DropCause::What::kLongPrompt, ids.prompt.size(), *settings.max_prompt_length);
  } else if (total > static_cast<std::size_t>(settings.max_length)) {
    cutter.drop(DropCause::What::kLongPair, total, settings.max_length);
  }
}

void cut_as_authors(const EncodeSettings& settings, const PairIds& ids, Cutter& cutter) {
  const auto longest = static_cast<std::size_t>(settings.max_length);
  const auto prompt = static_cast<std::size_t>(settings.max_prompt_length.value_or(settings.max_length / 2));
  const auto too_long = [&] { return ids.prompt.size() + ids.longest_answer() > longest; };
  if (too_long()) cutter.cut_prompt(prompt, settings.truncation);
  if (too_long()) cutter.cut_answers(longest - prompt);
}

void cut_as_trl(const EncodeSettings& settings, const PairIds& ids, Cutter& cutter) {
  const auto longest = static_cast<std::size_t>(settings.max_length);
  if (settings.max_prompt_length) {
    cutter.cut_prompt(static_cast<std::size_t>(*settings.max_prompt_length), settings.truncation);
  }
  if (settings.truncation == Truncation::kKeepEnd) {
    // One token at least: without any, nothing predicts an answer's first one.
    cutter.cut_prompt(longest - std::min(ids.longest_answer(), longest - 1), settings.truncation);
  } else if (ids.prompt.size() >= longest) {
    cutter.drop(DropCause::What::kNoRoom, ids.prompt.size(), settings.max_length);
    return;
  }
  cutter.cut_answers(longest - ids.prompt.size());
}

}  // namespace

std::size_t PairIds::longest_answer() const {
  return rejected ? std::max(chosen.size(), rejected->size()) : chosen.size();
}

Truncated truncate_pair(const EncodeSettings& settings, PairIds& ids) {
  Cutter cutter(ids);
  if (settings.truncation == Truncation::kDrop) {
    drop_long(settings, ids, cutter);
  } else if (settings.tokenization == Tokenization::kAuthors) {
    cut_as_authors(settings, ids, cutter);
  } else {
    cut_as_trl(settings, ids, cutter);
  }
  return cutter.result();
}

namespace {

using Ids = std::vector<std::int32_t>;

std::size_t common_prefix(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  const auto [end_a, end_b] = std::ranges::mismatch(a, b);
  return static_cast<std::size_t>(end_a - a.begin());
}

// From the ids of prompt, prompt+chosen and prompt+rejected. That a tokenizer ends every text is no loss of the prompt.
PairIds without_common_prefix(std::span<Ids> lists, std::int32_t eos_id) {
  std::size_t length = lists[0].size();
  for (const Ids& sequence : lists.subspan(1)) length = std::min(length, common_prefix(lists[0], sequence));
  const std::size_t lost = lists[0].size() - length;
  const bool merged = lost > 1 || (lost == 1 && lists[0].back() != eos_id);
  lists[0].resize(length);
  for (Ids& sequence : lists.subspan(1)) {
    sequence.erase(sequence.begin(), sequence.begin() + static_cast<std::ptrdiff_t>(length));
  }
  PairIds ids{.prompt = std::move(lists[0]), .chosen = std::move(lists[1]), .rejected = {}, .merged = merged};
  if (lists.size() > 2) ids.rejected = std::move(lists[2]);
  return ids;
}

PairIds with_end(std::span<Ids> lists, std::int32_t eos_id) {
  for (Ids& answer : lists.subspan(1)) answer.push_back(eos_id);
  PairIds ids{.prompt = std::move(lists[0]), .chosen = std::move(lists[1]), .rejected = {}};
  if (lists.size() > 2) ids.rejected = std::move(lists[2]);
  return ids;
}

// How many pairs at the start have the form of the first.
std::size_t num_alike(std::span<const PreferencePair> pairs) {
  const auto other = std::ranges::find_if(pairs, [&](const auto& pair) { return pair.form != pairs.front().form; });
  return static_cast<std::size_t>(other - pairs.begin());
}

std::string nothing_left(std::size_t pairs, const EncodeSettings& settings) {
  std::string what = "none of the " + std::to_string(pairs);
  what += settings.truncation == Truncation::kDrop ? " pairs is within" : " prompts is shorter than";
  return what + " max_length = " + std::to_string(settings.max_length) + " tokens";
}

void make_room(EncodedDataset& counts, std::size_t num_groups) {
  if (counts.pair_count_K.size() >= num_groups) return;
  counts.pair_count_K.resize(num_groups);
  counts.dropped_count_K.resize(num_groups);
  counts.shortened_count_K.resize(num_groups);
  counts.merged_prompt_count_K.resize(num_groups);
  counts.repeated_prompt_count_K.resize(num_groups);
}

}  // namespace

PairEncoder::PairEncoder(const ModelTokenizer& tokenizer, const EncodeSettings& settings, int threads)
    : tokenizer_(tokenizer), settings_(settings), threads_(threads) {
  if (settings.max_length >= 1) return;
  throw std::invalid_argument("max_length is " + std::to_string(settings.max_length) + ", expected 1 or more");
}

EncodedPairs PairEncoder::encode(std::span<const PreferencePair> pairs) {
  EncodedPairs encoded;
  while (!pairs.empty()) {
    const std::size_t alike = num_alike(pairs);
    encode_alike(pairs.first(alike), encoded);
    pairs = pairs.subspan(alike);
  }
  num_kept_ += encoded.size();
  num_pairs_ += encoded.size() + encoded.num_dropped();
  return encoded;
}

EncodedDataset PairEncoder::finish(std::vector<std::string> group_names) {
  if (num_kept_ == 0) throw std::invalid_argument(nothing_left(num_pairs_, settings_));
  make_room(counts_, group_names.size());
  counts_.group_names = std::move(group_names);
  return std::move(counts_);
}

void PairEncoder::encode_alike(std::span<const PreferencePair> pairs, EncodedPairs& encoded) {
  const PairTexts texts = pair_texts(pairs, tokenizer_, settings_, threads_);
  auto ids = ids_of(texts, pairs);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const std::span of_pair = std::span(ids).subspan(i * texts.per_pair, texts.per_pair);
    const bool apart = settings_.tokenization == Tokenization::kAuthors;
    const std::int32_t eos_id = tokenizer_.eos_id;
    add(apart ? with_end(of_pair, eos_id) : without_common_prefix(of_pair, eos_id), pairs[i], encoded);
  }
}

std::vector<std::vector<std::int32_t>> PairEncoder::ids_of(const PairTexts& texts,
                                                           std::span<const PreferencePair> pairs) const {
  try {
    return tokenizer_.tokenizer.encode_batch(texts.texts, texts.special, threads_);
  } catch (const TextRefused& refused) {
    throw PairRefused(pairs[refused.text() / texts.per_pair], refused.what());
  }
}

void PairEncoder::add(PairIds ids, const PreferencePair& pair, EncodedPairs& encoded) {
  const Truncated truncated = truncate_pair(settings_, ids);
  count(truncated, ids.merged, pair);
  if (truncated.dropped) return encoded.add_dropped(pair.memberships, *truncated.dropped);
  const std::span<const std::int32_t> rejected = ids.rejected ? std::span(*ids.rejected) : std::span<std::int32_t>();
  encoded.add({.prompt_ids = ids.prompt,
               .chosen_ids = ids.chosen,
               .rejected_ids = rejected,
               .memberships = pair.memberships,
               .chosen_share = pair.chosen_share,
               .weight = pair.weight,
               .reference = pair.reference});
}

void PairEncoder::count(const Truncated& truncated, bool merged, const PreferencePair& pair) {
  const bool kept = !truncated.dropped.has_value();
  const bool repeated = kept && repeats_prompt(pair, settings_.answers);
  const bool shortened = kept && truncated.shortened;
  merged = kept && merged;
  counts_.num_shortened += shortened ? 1 : 0;
  counts_.num_merged_prompts += merged ? 1 : 0;
  counts_.num_repeated_prompts += repeated ? 1 : 0;
  for (const auto& [group, weight] : pair.memberships) {
    make_room(counts_, group + 1);
    counts_.pair_count_K[group] += kept ? pair.weight * weight : 0;
    counts_.dropped_count_K[group] += kept ? 0 : 1;
    counts_.shortened_count_K[group] += shortened ? 1 : 0;
    counts_.merged_prompt_count_K[group] += merged ? 1 : 0;
    counts_.repeated_prompt_count_K[group] += repeated ? 1 : 0;
  }
}

}  // namespace equipoise
