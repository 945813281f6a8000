#include "worker/data/pair_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/config/job_config.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"
#include "tests/worker/support/owned_pair.h"
#include "worker/data/encoded_dataset.h"

namespace equipoise {
namespace pair_encoder_test {

using Ids = std::vector<std::int32_t>;
using testing::ElementsAre;

struct OfficialCase {
  const char* family;
  Truncation truncation;
};

class OfficialTokens : public testing::TestWithParam<OfficialCase> {
 protected:
  std::string folder() const { return std::string("golden/lm/golden/") + GetParam().family; }
  ModelTokenizer tokenizer() const {
    return load_model_tokenizer(std::string("golden/lm/models/") + GetParam().family + "/policy");
  }
  // Settings of the authors' code for a maximum length; the prompt may have half of it.
  EncodeSettings settings(int max_length) const {
    return {.max_length = max_length,
            .max_prompt_length = max_length / 2,
            .truncation = GetParam().truncation,
            .tokenization = Tokenization::kAuthors};
  }
  static PreferenceData read(const std::string& name) {
    return read_preference_file("golden/lm/data/" + name + ".jsonl", Rejected::kRequired);
  }
  static void expect_same(const EncodedPair& encoded, const nlohmann::json& expected) {
    const OwnedPair pair = owned(encoded);
    EXPECT_EQ(pair.prompt_ids, expected["prompt_ids"].get<Ids>());
    EXPECT_EQ(pair.chosen_ids, expected["chosen_ids"].get<Ids>());
    EXPECT_EQ(pair.rejected_ids, expected["rejected_ids"].get<Ids>());
  }
};

// Lines 0..15 are edge.jsonl, 16..27 the first twelve of train.jsonl.
TEST_P(OfficialTokens, AreCutAsTheAuthorsCodeCuts) {
  const std::string mode = GetParam().truncation == Truncation::kKeepEnd ? "keep_end" : "keep_start";
  const auto golden = nlohmann::json::parse(
      read_file(folder() + "/token_ids_truncated.json"))["official_max_length_64_max_prompt_32_" + mode];
  PreferenceData data = read("edge");
  const PreferenceData train = read("train");
  data.group_names = {"any"};
  data.pairs.insert(data.pairs.end(), train.pairs.begin(), train.pairs.begin() + 12);
  for (PreferencePair& pair : data.pairs) pair.memberships = {{0, 1}};
  const EncodedDataset encoded = encode_pairs(data, tokenizer(), settings(64), 2);
  ASSERT_EQ(encoded.pairs.size(), golden.size());
  for (std::size_t i = 0; i < golden.size(); ++i) {
    SCOPED_TRACE(i);
    expect_same(encoded.pairs[i], golden[i]);
  }
}

TEST_P(OfficialTokens, AreThreeTextsWithoutSpecialTokens) {
  if (GetParam().truncation != Truncation::kKeepStart) return;
  const auto golden = nlohmann::json::parse(read_file(folder() + "/token_ids_untruncated.json"));
  for (const std::string file : {"train", "edge"}) {
    const EncodedDataset encoded = encode_pairs(read(file), tokenizer(), settings(512), 2);
    ASSERT_EQ(encoded.pairs.size(), golden[file].size());
    for (std::size_t i = 0; i < encoded.pairs.size(); ++i) {
      SCOPED_TRACE(file + " " + std::to_string(i));
      expect_same(encoded.pairs[i], golden[file][i]["official"]);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(
    Families, OfficialTokens,
    testing::Values(OfficialCase{"gemma", Truncation::kKeepStart}, OfficialCase{"gemma", Truncation::kKeepEnd},
                    OfficialCase{"llama", Truncation::kKeepStart}, OfficialCase{"llama", Truncation::kKeepEnd},
                    OfficialCase{"qwen3", Truncation::kKeepStart}, OfficialCase{"qwen3", Truncation::kKeepEnd}));

// Prompt 1 2 3 4, answers 5 6 and 7 8 9.
PairIds four_two_three() { return {.prompt = {1, 2, 3, 4}, .chosen = {5, 6}, .rejected = Ids{7, 8, 9}}; }

TEST(TruncatePair, LeavesAPairAloneThatFits) {
  for (const auto truncation : {Truncation::kKeepStart, Truncation::kKeepEnd, Truncation::kDrop}) {
    PairIds ids = four_two_three();
    const Truncated result = truncate_pair({.max_length = 7, .max_prompt_length = 4, .truncation = truncation}, ids);
    EXPECT_FALSE(result.shortened);
    EXPECT_FALSE(result.dropped);
    EXPECT_THAT(ids.prompt, ElementsAre(1, 2, 3, 4));
    EXPECT_THAT(*ids.rejected, ElementsAre(7, 8, 9));
  }
}

TEST(TruncatePair, KeepsTheStart) {
  PairIds ids = four_two_three();
  EXPECT_TRUE(truncate_pair({.max_length = 6}, ids).shortened);
  EXPECT_THAT(ids.prompt, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(ids.chosen, ElementsAre(5, 6));
  EXPECT_THAT(*ids.rejected, ElementsAre(7, 8));
}

TEST(TruncatePair, KeepsTheEndOfThePrompt) {
  PairIds ids = four_two_three();
  EXPECT_TRUE(truncate_pair({.max_length = 5, .truncation = Truncation::kKeepEnd}, ids).shortened);
  EXPECT_THAT(ids.prompt, ElementsAre(3, 4));
  EXPECT_THAT(*ids.rejected, ElementsAre(7, 8, 9));
}

TEST(TruncatePair, KeepsOneTokenOfThePromptBeforeALongAnswer) {
  PairIds ids = four_two_three();
  EXPECT_TRUE(truncate_pair({.max_length = 3, .truncation = Truncation::kKeepEnd}, ids).shortened);
  EXPECT_THAT(ids.prompt, ElementsAre(4));
  EXPECT_THAT(ids.chosen, ElementsAre(5, 6));
  EXPECT_THAT(*ids.rejected, ElementsAre(7, 8));
}

TEST(TruncatePair, CutsALongPromptFirst) {
  PairIds start = four_two_three(), end = four_two_three();
  EXPECT_TRUE(truncate_pair({.max_length = 100, .max_prompt_length = 3}, start).shortened);
  EXPECT_THAT(start.prompt, ElementsAre(1, 2, 3));
  truncate_pair({.max_length = 100, .max_prompt_length = 3, .truncation = Truncation::kKeepEnd}, end);
  EXPECT_THAT(end.prompt, ElementsAre(2, 3, 4));
}

TEST(TruncatePair, DropsWhatIsTooLong) {
  PairIds ids = four_two_three();
  EXPECT_EQ(truncate_pair({.max_length = 4}, ids).dropped.value().text(),
            "its prompt of 4 tokens leaves no room for an answer within max_length = 4");
  EXPECT_EQ(truncate_pair({.max_length = 6, .truncation = Truncation::kDrop}, ids).dropped.value().text(),
            "its 7 tokens are more than max_length = 6");
  EXPECT_EQ(truncate_pair({.max_length = 60, .max_prompt_length = 3, .truncation = Truncation::kDrop}, ids)
                .dropped.value()
                .text(),
            "its prompt of 4 tokens is longer than max_prompt_length = 3");
  EXPECT_THAT(ids.prompt, ElementsAre(1, 2, 3, 4));
}

TEST(EncodePairs, CountsWhatEachGroupLoses) {
  const ModelTokenizer tokenizer = load_model_tokenizer("golden/lm/models/gemma/policy");
  const PreferenceData data{
      .pairs = {{"Is tea good?", "Yes", "No", {{0, 1.0}}}, {"Is it?", "No, it is not", "Yes", {{0, 0.25}, {1, 0.5}}}},
      .group_names = {"a", "b"}};
  const EncodedDataset whole = encode_pairs(data, tokenizer, 100, 1);
  const auto prompt = static_cast<int>(whole.pairs[0].prompt_ids.size());
  ASSERT_LT(static_cast<int>(whole.pairs[1].prompt_ids.size()), prompt);
  const EncodedDataset cut = encode_pairs(data, tokenizer, prompt, 1);
  EXPECT_THAT(cut.dropped_count_K, ElementsAre(1, 0));
  EXPECT_THAT(cut.shortened_count_K, ElementsAre(1, 1));
}

TEST(EncodePairs, NamesTheLineOfATextThatTheTokenizerRefuses) {
  const TempFolder folder;
  std::filesystem::copy("golden/lm/models/gemma/policy", folder / "model", std::filesystem::copy_options::recursive);
  auto json = nlohmann::json::parse(read_file(folder / "model/tokenizer.json"));
  json["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", "Z"}}}, {"content", std::string(1 << 20, 'y')}};
  std::filesystem::remove(folder / "model/tokenizer.json");
  folder.write("model/tokenizer.json", json.dump());
  const auto file = folder.write("pairs.jsonl", R"({"prompt": "a", "chosen": "b", "rejected": "c", "group": "g"}
{"prompt": "a", "chosen": "Z", "rejected": "c", "group": "g"}
)");
  const std::string refusal = refusal_in(folder.path(), [&] {
    encode_pairs(read_preference_file(file, Rejected::kRequired), load_model_tokenizer(folder / "model"), 100, 2);
  });
  EXPECT_THAT(refusal, testing::StartsWith("pairs.jsonl:2: " + (folder / "model/tokenizer.json").string() +
                                           ": its Replace of \"Z\" makes "));
}

}  // namespace pair_encoder_test
}  // namespace equipoise
