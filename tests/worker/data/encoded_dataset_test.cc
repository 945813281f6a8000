#include "worker/data/encoded_dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "common/base/sha256.h"
#include "tests/support/temp_folder.h"
#include "tests/worker/support/owned_pair.h"

namespace equipoise {
namespace encoded_dataset_test {

using ::testing::HasSubstr;
using ::testing::Property;
using ::testing::Throws;

constexpr char kPolicy[] = "golden/lm/models/gemma/policy";
using Ids = std::vector<std::int32_t>;

nlohmann::json read_json(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

PreferenceData read_golden(const std::string& name) {
  return read_preference_file("golden/lm/data/" + name + ".jsonl", Rejected::kRequired);
}

template <class Matcher>
auto throws_naming(const Matcher& matcher) {
  return Throws<std::invalid_argument>(Property(&std::invalid_argument::what, matcher));
}

// BOS once for gemma and llama, none for qwen3; EOS of each; byte fallback, digits by threes, digits by ones.
class GoldenTokens : public ::testing::TestWithParam<const char*> {
 protected:
  void expect_cut(int max_length) const;
  const std::string family_ = GetParam();
  const ModelTokenizer tokenizer_ = load_model_tokenizer("golden/lm/models/" + family_ + "/policy");
};

TEST_P(GoldenTokens, AreThoseOfTrl) {
  const auto golden = read_json("golden/lm/golden/" + family_ + "/token_ids_untruncated.json");
  for (const std::string file : {"train", "validation", "edge"}) {
    const EncodedDataset encoded = encode_pairs(read_golden(file), tokenizer_, 1 << 20, 2);
    ASSERT_EQ(encoded.pairs.size(), golden[file].size());
    for (std::size_t i = 0; i < encoded.pairs.size(); ++i) {
      const OwnedPair pair = owned(encoded.pair(i));
      EXPECT_EQ(pair.prompt_ids, golden[file][i]["prompt_ids"].get<Ids>()) << file << " " << i;
      EXPECT_EQ(pair.chosen_ids, golden[file][i]["chosen_ids"].get<Ids>()) << file << " " << i;
      EXPECT_EQ(pair.rejected_ids, golden[file][i]["rejected_ids"].get<Ids>()) << file << " " << i;
    }
  }
}

// Lines 0..15 are edge.jsonl, 16..27 the first twelve of train.jsonl.
PreferenceData truncation_lines() {
  PreferenceData data = read_golden("train");
  PreferenceData edge = read_preference_file("golden/lm/data/edge.jsonl", Rejected::kRequired, data.group_names);
  data.pairs.resize(12);
  data.pairs.insert(data.pairs.begin(), edge.pairs.begin(), edge.pairs.end());
  data.group_names = edge.group_names;
  return data;
}

void GoldenTokens::expect_cut(int max_length) const {
  const auto golden = read_json("golden/lm/golden/" + family_ +
                                "/token_ids_truncated.json")["trl_max_length_" + std::to_string(max_length)];
  const EncodedDataset encoded = encode_pairs(truncation_lines(), tokenizer_, max_length, 1);
  EXPECT_EQ(encoded.pairs.num_dropped(), golden["dropped"].size());
  ASSERT_EQ(encoded.pairs.size(), golden["examples"].size());
  for (std::size_t i = 0; i < encoded.pairs.size(); ++i) {
    const auto& expected = golden["examples"][i];
    const OwnedPair pair = owned(encoded.pair(i));
    Ids chosen = pair.prompt_ids, rejected = pair.prompt_ids;
    chosen.insert(chosen.end(), pair.chosen_ids.begin(), pair.chosen_ids.end());
    rejected.insert(rejected.end(), pair.rejected_ids.begin(), pair.rejected_ids.end());
    EXPECT_EQ(chosen, expected["chosen_sequence"].get<Ids>()) << expected["line"];
    EXPECT_EQ(rejected, expected["rejected_sequence"].get<Ids>()) << expected["line"];
    EXPECT_EQ(pair.chosen_ids.size(), expected["chosen_completion_tokens"].get<std::size_t>()) << expected["line"];
    EXPECT_EQ(pair.rejected_ids.size(), expected["rejected_completion_tokens"].get<std::size_t>()) << expected["line"];
  }
}

TEST_P(GoldenTokens, AreDroppedAndCutAsTrlDoes) {
  for (const int max_length : {64, 128}) expect_cut(max_length);
}
INSTANTIATE_TEST_SUITE_P(Families, GoldenTokens, ::testing::Values("gemma", "llama", "qwen3"),
                         [](const auto& family) { return std::string(family.param); });

PreferenceData two_pairs() {
  return {.pairs = {{"Is tea good?", "Yes", "No", {{0, 1.0}}}, {"Is it?", "No", "Yes", {{0, 0.25}, {1, 0.5}}}},
          .group_names = {"a", "b"}};
}

TEST(EncodePairs, CountsMembershipsOfKeptPairsOnly) {
  const ModelTokenizer tokenizer = load_model_tokenizer(kPolicy);
  const EncodedDataset all = encode_pairs(two_pairs(), tokenizer, 100, 1);
  EXPECT_EQ(all.pair_count_K, (std::vector<double>{1.25, 0.5}));
  const auto longer_prompt = static_cast<int>(all.pairs[0].prompt_ids.size());
  ASSERT_LT(all.pairs[1].prompt_ids.size(), all.pairs[0].prompt_ids.size());
  const EncodedDataset cut = encode_pairs(two_pairs(), tokenizer, longer_prompt, 1);
  EXPECT_EQ(cut.pair_count_K, (std::vector<double>{0.25, 0.5}));
  EXPECT_EQ(cut.pairs.num_dropped(), 1U);
}

TEST(EncodePairs, DoesNotAppendASecondEndOfSequence) {
  const ModelTokenizer tokenizer = load_model_tokenizer(kPolicy);
  PreferenceData data = two_pairs();
  const Ids expected = owned(encode_pairs(data, tokenizer, 100, 1).pair(0)).chosen_ids;
  data.pairs[0].chosen = "Yes<eos>";
  EXPECT_EQ(owned(encode_pairs(data, tokenizer, 100, 1).pair(0)).chosen_ids, expected);
  EXPECT_EQ(expected.back(), tokenizer.eos_id);
}

TEST(EncodePairs, LeavesRejectedOutWhenOnlyChosenCounts) {
  PreferenceData data = two_pairs();
  data.pairs[0].rejected.clear();
  const EncodedDataset encoded = encode_pairs(data, load_model_tokenizer(kPolicy), 100, 1, Answers::kChosen);
  EXPECT_TRUE(encoded.pairs[0].rejected_ids.empty());
  EXPECT_TRUE(encoded.pairs[1].rejected_ids.empty());
}

// "important" is one token, so that rejected takes the prompt's last one; "imported" is "import" and more.
TEST(EncodePairs, EndsThePromptWhereTheFirstOfBothAnswersParts) {
  const ModelTokenizer tokenizer = load_model_tokenizer(kPolicy);
  PreferenceData data = two_pairs();
  data.pairs[0] = {"The best response is import", "ed goods", "ant to us", {{0, 1.0}}};
  const OwnedPair both = owned(encode_pairs(data, tokenizer, 100, 1).pair(0));
  const OwnedPair chosen = owned(encode_pairs(data, tokenizer, 100, 1, Answers::kChosen).pair(0));
  EXPECT_EQ(both.prompt_ids.size() + 1, chosen.prompt_ids.size());
  EXPECT_EQ(both.chosen_ids.size(), chosen.chosen_ids.size() + 1);
  EXPECT_EQ(both.chosen_ids.front(), chosen.prompt_ids.back());
}

// " good" with its space is one token: a prompt that ends in the space loses it to the answer.
TEST(EncodePairs, CountsPromptsWhoseEndMergesIntoTheAnswers) {
  const ModelTokenizer tokenizer = load_model_tokenizer(kPolicy);
  PreferenceData data = two_pairs();
  data.pairs[0] = {"The best response is import", "ed goods", "ant to us", {{0, 1.0}}};
  data.pairs[1] = {"The best response is:", " good", " bad", {{0, 0.5}, {1, 0.5}}};
  const EncodedDataset encoded = encode_pairs(data, tokenizer, 100, 1);
  EXPECT_EQ(encoded.num_merged_prompts, 1);
  EXPECT_EQ(encoded.merged_prompt_count_K, (std::vector<std::int64_t>{1, 0}));
  EXPECT_EQ(encoded.num_repeated_prompts, 0);
}

TEST(EncodePairs, CountsAnswersThatBeginWithThePromptAgain) {
  const ModelTokenizer tokenizer = load_model_tokenizer(kPolicy);
  PreferenceData data = two_pairs();
  const std::string prompt = "What is the best response?";
  data.pairs[0] = {prompt, prompt + " Yes", prompt + " No", {{0, 1.0}}};
  data.pairs[1] = {prompt, prompt + " Yes", "No", {{1, 1.0}}};
  const EncodedDataset encoded = encode_pairs(data, tokenizer, 100, 1);
  EXPECT_EQ(encoded.num_repeated_prompts, 1);
  EXPECT_EQ(encoded.repeated_prompt_count_K, (std::vector<std::int64_t>{1, 0}));
}

TEST(EncodePairs, RefusesDataWithoutAPairThatFits) {
  const ModelTokenizer tokenizer = load_model_tokenizer(kPolicy);
  EXPECT_THAT([&] { encode_pairs(two_pairs(), tokenizer, 2, 1); },
              throws_naming(HasSubstr("none of the 2 prompts is shorter than max_length = 2")));
}

TEST(EncodePairs, KeepsHowManyAgree) {
  PreferenceData data = two_pairs();
  data.pairs[1].chosen_share = 0.625;
  const EncodedDataset dataset = encode_pairs(data, load_model_tokenizer(kPolicy), 100, 1);
  EXPECT_EQ(dataset.pairs[0].chosen_share, 1);
  EXPECT_EQ(dataset.pairs[1].chosen_share, 0.625);
}

TEST(DatasetDigest, ChangesWithEveryPartOfThePairs) {
  const EncodedDataset original = encode_pairs(two_pairs(), load_model_tokenizer(kPolicy), 100, 1);
  const auto digest = dataset_digest(original);
  EXPECT_EQ(dataset_digest(original), digest);
  const auto changed = [&](auto change) {
    std::vector<OwnedPair> pairs = owned(original.pairs);
    EncodedDataset copy{.pairs = {},
                        .group_names = original.group_names,
                        .pair_count_K = original.pair_count_K,
                        .dropped_count_K = {},
                        .shortened_count_K = {}};
    change(pairs, copy.group_names);
    copy.pairs = encoded(pairs);
    return dataset_digest(copy);
  };
  using Pairs = std::vector<OwnedPair>;
  EXPECT_EQ(changed([](Pairs&, auto&) {}), digest);
  EXPECT_NE(changed([](Pairs& pairs, auto&) { pairs[1].chosen_ids[0] += 1; }), digest);
  EXPECT_NE(changed([](Pairs& pairs, auto&) { pairs[1].memberships[0].weight = 0.5; }), digest);
  EXPECT_NE(changed([](Pairs& pairs, auto&) { std::swap(pairs[0], pairs[1]); }), digest);
  EXPECT_NE(changed([](Pairs&, auto& names) { names[1] = "c"; }), digest);
  EXPECT_NE(changed([](Pairs& pairs, auto&) { pairs[1].chosen_share = 0.5; }), digest);
  EXPECT_NE(changed([](Pairs& pairs, auto&) { pairs[1].weight = 0.5; }), digest);
  EXPECT_NE(changed([](Pairs& pairs, auto&) {
              for (OwnedPair& pair : pairs) pair.reference = ReferenceLogProbs{};
            }),
            digest);
  // A token that moves from the prompt to the answer leaves the same ids in the same order.
  EXPECT_NE(changed([](Pairs& pairs, auto&) {
              pairs[0].chosen_ids.insert(pairs[0].chosen_ids.begin(), pairs[0].prompt_ids.back());
              pairs[0].prompt_ids.pop_back();
            }),
            digest);
}

EncodedDataset dataset_of(std::vector<std::string> group_names, const std::vector<OwnedPair>& pairs) {
  return {.pairs = encoded(pairs),
          .group_names = std::move(group_names),
          .pair_count_K = {},
          .dropped_count_K = {},
          .shortened_count_K = {}};
}

// Coordinators keep it with a job, and ranks of several versions compare it. Of Python's hashlib, over what
// dataset_digest() names; the third is longer than any buffer.
TEST(DatasetDigest, StaysWhatItWas) {
  std::vector<OwnedPair> pairs = {
      {.prompt_ids = {2, 5, 6}, .chosen_ids = {7, 1}, .rejected_ids = {8, 1}, .memberships = {{0, 1.0}}},
      {.prompt_ids = {2}, .chosen_ids = {9}, .rejected_ids = {}, .memberships = {{0, 0.5}, {1, 0.25}}}};
  EXPECT_EQ(hex_text(dataset_digest(dataset_of({"a", "bc"}, pairs))),
            "8a9dde6b5fd74de6363bc94f6a4f217120a2ab51b6ec0efc21533243b6d86e2d");
  pairs[1].chosen_share = 0.75;
  pairs[1].weight = 2;
  pairs[0].reference = ReferenceLogProbs{.chosen = -1, .rejected = -2};
  pairs[1].reference = ReferenceLogProbs{.chosen = -3, .rejected = -4};
  EXPECT_EQ(hex_text(dataset_digest(dataset_of({"a", "bc"}, pairs))),
            "7bf713525b9c0aff71a0645716ecc1595ec81459fe89d1b0b8f87451dd8f0363");
  std::vector<std::int32_t> ids(20'000);
  std::iota(ids.begin(), ids.end(), 0);
  pairs = {{.prompt_ids = ids, .chosen_ids = {1}, .rejected_ids = {}, .memberships = {{0, 1.0}}}};
  EXPECT_EQ(hex_text(dataset_digest(dataset_of({"a"}, pairs))),
            "f4b8b9b3cb620331514c4aed00ad7ba4215186e280fe505e4683e67f45bcfc33");
}

class TokenizerFolder : public ::testing::Test {
 protected:
  TokenizerFolder() { folder_.write("tokenizer.json", read_file(std::string(kPolicy) + "/tokenizer.json")); }
  TempFolder folder_;
};

TEST_F(TokenizerFolder, FindsEndOfSequenceInEachOfItsFiles) {
  folder_.write("config.json", R"({"eos_token_id": [2, 1]})");
  EXPECT_EQ(load_model_tokenizer(folder_.path()).eos_token, "<bos>");
  folder_.write("special_tokens_map.json", R"({"eos_token": {"content": "<eos>"}})");
  EXPECT_EQ(load_model_tokenizer(folder_.path()).eos_id, 1);
  folder_.write("tokenizer_config.json", R"({"eos_token": "<pad>"})");
  EXPECT_EQ(load_model_tokenizer(folder_.path()).eos_id, 0);
}

TEST_F(TokenizerFolder, RefusesAnEndOfSequenceThatIsMissingOrUnknown) {
  EXPECT_THAT([&] { load_model_tokenizer(folder_.path()); }, throws_naming(HasSubstr("no end-of-sequence token")));
  folder_.write("config.json", R"({"eos_token_id": -1})");
  EXPECT_THAT([&] { load_model_tokenizer(folder_.path()); }, throws_naming(HasSubstr("eos_token_id is \"-1\"")));
  folder_.write("tokenizer_config.json", R"({"eos_token": "</end>"})");
  EXPECT_THAT([&] { load_model_tokenizer(folder_.path()); }, throws_naming(HasSubstr("has no token \"</end>\"")));
  folder_.write("tokenizer_config.json", R"({"eos_token": 3})");
  EXPECT_THAT([&] { load_model_tokenizer(folder_.path()); }, throws_naming(HasSubstr("eos_token is \"3\"")));
  folder_.write("tokenizer_config.json", "{");
  EXPECT_THAT([&] { load_model_tokenizer(folder_.path()); },
              throws_naming(HasSubstr("tokenizer_config.json: is cut short or no JSON: download it again (byte")));
  folder_.write("tokenizer_config.json", R"({"eos_token": "<eos>"})");
  folder_.write("special_tokens_map.json", R"({"eos_)");
  EXPECT_THAT([&] { load_model_tokenizer(folder_.path()); },
              throws_naming(HasSubstr("special_tokens_map.json: is cut short or no JSON")));
}

}  // namespace encoded_dataset_test
}  // namespace equipoise
