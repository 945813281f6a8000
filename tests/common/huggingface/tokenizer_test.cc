#include "common/huggingface/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace tokenizer_test {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

// Both families that the expected ids were made for: byte fallback with a replacing normaliser, and byte level.
class GoldenTokenizer : public testing::TestWithParam<const char*> {
 protected:
  std::string folder_ = std::string("golden/tokenizer/") + GetParam();
  Tokenizer tokenizer_ = Tokenizer::from_file(folder_ + "/tokenizer.json");
  nlohmann::json expected_ = nlohmann::json::parse(read_file(folder_ + "/expected.json"));
};

using Ids = std::vector<std::int32_t>;

TEST_P(GoldenTokenizer, EncodesEveryTextAsTransformersDoes) {
  ASSERT_FALSE(expected_["cases"].empty());
  for (const auto& text_case : expected_["cases"]) {
    const auto text = text_case["text"].get<std::string>();
    EXPECT_EQ(tokenizer_.encode(text, SpecialTokens::kAdd), text_case["ids"].get<Ids>()) << text;
    EXPECT_EQ(tokenizer_.encode(text, SpecialTokens::kOmit), text_case["ids_no_special"].get<Ids>()) << text;
  }
}

TEST_P(GoldenTokenizer, DecodesEveryTextAsTransformersDoes) {
  for (const auto& text_case : expected_["cases"]) {
    const auto ids = text_case["ids"].get<Ids>();
    EXPECT_EQ(tokenizer_.decode(ids, Tokenizer::Decode::kKeepSpecial), text_case["decoded"].get<std::string>());
    EXPECT_EQ(tokenizer_.decode(ids, Tokenizer::Decode::kSkipSpecial),
              text_case["decoded_skip_special"].get<std::string>());
  }
}

TEST_P(GoldenTokenizer, KnowsItsVocabulary) {
  EXPECT_EQ(tokenizer_.vocab_size(), expected_["vocab_size"].get<std::size_t>());
  EXPECT_EQ(tokenizer_.token_to_id(expected_["eos"].get<std::string>()), expected_["eos_id"].get<std::int32_t>());
  EXPECT_EQ(tokenizer_.token_to_id("no such token"), std::nullopt);
}

TEST_P(GoldenTokenizer, EncodesABatchOnManyThreadsAsOneByOne) {
  std::vector<std::string> texts;
  for (int round = 0; round < 20; ++round) {
    for (const auto& text_case : expected_["cases"]) texts.push_back(text_case["text"]);
  }
  for (const int threads : {1, 2, 7}) {
    const auto batch = tokenizer_.encode_batch(texts, SpecialTokens::kAdd, threads);
    ASSERT_EQ(batch.size(), texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i)
      EXPECT_EQ(batch[i], tokenizer_.encode(texts[i], SpecialTokens::kAdd));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenTokenizer, testing::Values("gemma", "llama"),
                         [](const auto& family) { return std::string(family.param); });

TEST(Tokenizer, RefusesTextThatIsNotUtf8EvenInABatch) {
  const Tokenizer tokenizer = Tokenizer::from_file("golden/tokenizer/gemma/tokenizer.json");
  EXPECT_THAT([&] { tokenizer.encode("\xff\xfe", SpecialTokens::kAdd); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("UTF-8")));
  const std::vector<std::string> texts(50, "\xc3");
  EXPECT_THROW(tokenizer.encode_batch(texts, SpecialTokens::kAdd, 4), std::invalid_argument);
}

TEST(Tokenizer, RefusesNegativeIds) {
  const Tokenizer tokenizer = Tokenizer::from_file("golden/tokenizer/gemma/tokenizer.json");
  EXPECT_THAT(
      [&] {
        tokenizer.decode(Ids{5, -3}, Tokenizer::Decode::kKeepSpecial);
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("-3")));
}

TEST(Tokenizer, NamesAFileThatIsNotATokenizer) {
  const TempFolder folder;
  const std::string nested = std::string(100000, '[') + std::string(100000, ']');
  for (const std::string& content : {std::string(), std::string("{}"), std::string("{\"version\": \"1.0\""), nested,
                                     std::string("\x80\x02pickle"), std::string(1, '\0')}) {
    const auto path = folder.write("tokenizer.json", content);
    EXPECT_THAT([&] { Tokenizer::from_file(path); }, ThrowsMessage<std::invalid_argument>(HasSubstr(path.string())));
  }
  EXPECT_THAT(
      [&] { Tokenizer::from_file(folder.write("half.json", "{\"version\": \"1.0\"")); },
      ThrowsMessage<std::invalid_argument>(HasSubstr("half.json: is cut short or no JSON: download it again: ")));
  EXPECT_THAT([&] { Tokenizer::from_file(folder.write("other.json", "{}")); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("other.json: is not a tokenizer: ")));
  EXPECT_THAT([&] { Tokenizer::from_file(folder / "absent.json"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("absent.json")));
  EXPECT_THAT([&] { Tokenizer::from_file(folder.path()); }, ThrowsMessage<std::invalid_argument>(HasSubstr("file")));
}

// A saved tokenizer.json may carry truncation and padding; both would change what a log-probability sums over.
TEST(Tokenizer, IgnoresTruncationAndPaddingOfTheFile) {
  const TempFolder folder;
  auto json = nlohmann::json::parse(read_file("golden/tokenizer/gemma/tokenizer.json"));
  json["truncation"] = {{"direction", "Right"}, {"max_length", 4}, {"strategy", "LongestFirst"}, {"stride", 0}};
  json["padding"] = {{"strategy", {{"Fixed", 64}}},
                     {"direction", "Right"},
                     {"pad_to_multiple_of", nullptr},
                     {"pad_id", 0},
                     {"pad_type_id", 0},
                     {"pad_token", "<pad>"}};
  const Tokenizer plain = Tokenizer::from_file("golden/tokenizer/gemma/tokenizer.json");
  const Tokenizer saved = Tokenizer::from_file(folder.write("tokenizer.json", json.dump()));
  const std::string text = "Opinion of people in Japan on: How worried are you?";
  EXPECT_EQ(saved.encode(text, SpecialTokens::kAdd), plain.encode(text, SpecialTokens::kAdd));
}

TEST(Tokenizer, OutlivesBeingMoved) {
  Tokenizer first = Tokenizer::from_file("golden/tokenizer/gemma/tokenizer.json");
  const Ids ids = first.encode("a b", SpecialTokens::kAdd);
  Tokenizer second = std::move(first);
  EXPECT_EQ(second.encode("a b", SpecialTokens::kAdd), ids);
}

}  // namespace tokenizer_test
}  // namespace equipoise
