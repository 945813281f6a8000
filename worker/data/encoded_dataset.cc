// EncodedDataset of encoded_dataset.h.
#include "worker/data/encoded_dataset.h"

#include <algorithm>
#include <span>
#include <stdexcept>
#include <utility>

#include "common/base/message_text.h"
#include "common/base/sha256.h"
#include "worker/data/json_file.h"
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

namespace {

template <class Number>
void add_counts(std::vector<Number>& count_K, const std::vector<Number>& more_K) {
  count_K.resize(std::max(count_K.size(), more_K.size()));
  for (std::size_t g = 0; g < more_K.size(); ++g) count_K[g] += more_K[g];
}

}  // namespace

void EncodedDataset::append(EncodedDataset more) {
  const auto [mine, other] = std::ranges::mismatch(group_names, more.group_names);
  if (mine != group_names.end()) {
    throw std::invalid_argument("the data to append has no group " + quoted_text(*mine) + " in this place");
  }
  group_names = std::move(more.group_names);
  add_counts(pair_count_K, more.pair_count_K);
  add_counts(dropped_count_K, more.dropped_count_K);
  add_counts(shortened_count_K, more.shortened_count_K);
  add_counts(merged_prompt_count_K, more.merged_prompt_count_K);
  add_counts(repeated_prompt_count_K, more.repeated_prompt_count_K);
  num_shortened += more.num_shortened;
  num_merged_prompts += more.num_merged_prompts;
  num_repeated_prompts += more.num_repeated_prompts;
  pairs.append(std::move(more.pairs));
}

namespace {

void add_weights(const EncodedDataset& dataset, Sha256& sha256) {
  for (const EncodedPair pair : dataset.pairs) {
    sha256.add_number(pair.weight);
    sha256.add_number(std::uint64_t{pair.reference ? 1U : 0U});
    sha256.add_number(pair.reference ? pair.reference->chosen : 0.0);
    sha256.add_number(pair.reference ? pair.reference->rejected : 0.0);
  }
}

}  // namespace

Digest dataset_digest(const EncodedDataset& dataset) {
  Sha256 sha256;
  sha256.add_number(std::uint64_t{dataset.group_names.size()});
  for (const std::string& name : dataset.group_names) sha256.add_text(name);
  sha256.add_number(std::uint64_t{dataset.size()});
  bool is_unanimous = true, is_plain = true;
  for (const EncodedPair pair : dataset.pairs) {
    for (const auto ids : {pair.prompt_ids, pair.chosen_ids, pair.rejected_ids}) sha256.add_list(ids);
    sha256.add_number(std::uint64_t{pair.memberships.size()});
    for (const auto& [group, weight] : pair.memberships) {
      sha256.add_number(group);
      sha256.add_number(weight);
    }
    is_unanimous = is_unanimous && pair.chosen_share == 1;
    is_plain = is_plain && pair.weight == 1 && !pair.reference;
  }
  if (!is_unanimous) {
    for (const EncodedPair pair : dataset.pairs) sha256.add_number(pair.chosen_share);
  }
  if (!is_plain) add_weights(dataset, sha256);
  return sha256.finish();
}

namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

// eos_token of one file: a text, or an object with its text under "content". Empty: the file says nothing.
std::string eos_text(const fs::path& file) {
  if (!fs::exists(file)) return {};
  const ordered_json settings = read_json_object(file);
  const auto eos = settings.find("eos_token");
  if (eos == settings.end() || eos->is_null()) return {};
  const ordered_json content = eos->is_object() ? eos->value("content", ordered_json()) : *eos;
  if (content.is_string() && !content.get_ref<const std::string&>().empty()) return content.get<std::string>();
  throw std::invalid_argument(file.string() + ": eos_token is " + quoted_text(eos->dump()) +
                              ", expected the token's text");
}

// The text of eos_token_id in config.json (the first, where it is a list).
std::string eos_text_of_id(const fs::path& config, const Tokenizer& tokenizer) {
  if (!fs::exists(config)) return {};
  const ordered_json settings = read_json_object(config);
  const auto field = settings.find("eos_token_id");
  if (field == settings.end() || field->is_null()) return {};
  const ordered_json eos = field->is_array() && !field->empty() ? field->front() : *field;
  const bool is_id = eos.is_number_unsigned() && eos.get<std::uint64_t>() < tokenizer.vocab_size();
  if (!is_id) {
    throw std::invalid_argument(config.string() + ": eos_token_id is " + quoted_text(field->dump()) +
                                ", expected a token id below " + std::to_string(tokenizer.vocab_size()));
  }
  const std::int32_t id = eos.get<std::int32_t>();
  return tokenizer.decode(std::span(&id, 1), Tokenizer::Decode::kKeepSpecial);
}

}  // namespace

ModelTokenizer load_model_tokenizer(const fs::path& folder) {
  Tokenizer tokenizer = Tokenizer::from_file(folder / "tokenizer.json");
  const fs::path special_tokens = folder / "special_tokens_map.json";
  if (fs::exists(special_tokens)) read_json_object(special_tokens);  // a broken one is refused, needed or not
  std::string eos = eos_text(folder / "tokenizer_config.json");
  if (eos.empty()) eos = eos_text(special_tokens);
  if (eos.empty()) eos = eos_text_of_id(folder / "config.json", tokenizer);
  if (eos.empty()) {
    throw std::invalid_argument(folder.string() +
                                ": no end-of-sequence token; tokenizer_config.json should name it as eos_token");
  }
  const auto id = tokenizer.token_to_id(eos);
  if (!id) {
    throw std::invalid_argument((folder / "tokenizer.json").string() + " has no token " + quoted_text(eos) +
                                ", which is the eos_token of this folder");
  }
  return {.tokenizer = std::move(tokenizer), .eos_token = std::move(eos), .eos_id = *id};
}

}  // namespace equipoise
