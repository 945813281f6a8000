// train_gemma_tokenizer: what a new tokenizer.json looks like, and that the same texts give the same bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "common/huggingface/tokenizer.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace gemma_training_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::size_t kVocabSize = 420;

std::vector<std::string> texts_of_golden() {
  std::vector<std::string> texts;
  const auto golden = nlohmann::json::parse(read_file("golden/tokenizer/gemma/expected.json"));
  for (const auto& text_case : golden["cases"]) texts.push_back(text_case["text"]);
  texts.push_back("Opinion of people in Japan on: Is it good?\nPlease select the best response:\nA. Very good\nB. No");
  texts.push_back("B");
  return texts;
}

nlohmann::json train(std::span<const std::string> texts, std::size_t vocab_size) {
  const TempFolder folder;
  train_gemma_tokenizer(texts, vocab_size, folder / "tokenizer.json");
  return nlohmann::json::parse(read_file(folder / "tokenizer.json"));
}

TEST(GemmaTraining, LaysTheFileOutAsGemmas) {
  auto trained = train(texts_of_golden(), kVocabSize);
  auto golden = nlohmann::json::parse(read_file("golden/tokenizer/gemma/tokenizer.json"));
  for (auto* json : {&trained, &golden}) {
    (*json)["model"].erase("vocab");
    (*json)["model"].erase("merges");
  }
  EXPECT_EQ(trained, golden);
}

TEST(GemmaTraining, NumbersSpecialTokensThenBytesThenLetters) {
  const auto trained = train(texts_of_golden(), kVocabSize);
  const auto golden = nlohmann::json::parse(read_file("golden/tokenizer/gemma/tokenizer.json"));
  for (const auto& [token, id] : golden["model"]["vocab"].items()) {
    if (id >= 261) continue;
    EXPECT_EQ(trained["model"]["vocab"][token], id) << token;
  }
  EXPECT_EQ(trained["model"]["vocab"].size(), kVocabSize);
  EXPECT_LT(trained["model"]["vocab"]["A"], trained["model"]["vocab"]["B"]);
}

TEST(GemmaTraining, GivesTheSameBytesInEveryThreadAndProcess) {
  const TempFolder folder;
  const auto texts = texts_of_golden();
  const auto train_in_thread = [&](const std::string& name) {
    std::jthread([&] { train_gemma_tokenizer(texts, kVocabSize, folder / name); }).join();
  };
  train_in_thread("a");
  const pid_t child = fork();
  if (child == 0) {
    train_in_thread("b");
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  {
    std::jthread third([&] { train_gemma_tokenizer(texts, kVocabSize, folder / "c"); });
    std::jthread fourth([&] { train_gemma_tokenizer(texts, kVocabSize, folder / "d"); });
  }
  for (const char* name : {"b", "c", "d"}) EXPECT_EQ(read_file(folder / "a"), read_file(folder / name)) << name;
}

TEST(GemmaTraining, DoesNotDependOnTheOrderOfTheTexts) {
  auto texts = texts_of_golden();
  const auto forward = train(texts, kVocabSize);
  std::ranges::reverse(texts);
  EXPECT_EQ(train(texts, kVocabSize), forward);
}

TEST(GemmaTraining, DecodesWhatItEncodes) {
  const TempFolder folder;
  const auto texts = texts_of_golden();
  train_gemma_tokenizer(texts, kVocabSize, folder / "tokenizer.json");
  const Tokenizer tokenizer = Tokenizer::from_file(folder / "tokenizer.json");
  for (const std::string text :
       {"Opinion of people", "  two  spaces ", "A\nB\t1", "\u6c34 not in the texts \U0001F600"}) {
    const auto ids = tokenizer.encode(text, SpecialTokens::kAdd);
    EXPECT_EQ(ids.front(), 2) << "<bos> first";
    EXPECT_EQ(tokenizer.decode(ids, Tokenizer::Decode::kSkipSpecial), text);
  }
}

// The trainer asks for log p(answer | prompt): the prompt's tokens must stay as they are when an answer follows, and
// the answer's letter must be the token that stands before the option.
TEST(GemmaTraining, KeepsAnAnswersLetterApartFromThePrompt) {
  const TempFolder folder;
  train_gemma_tokenizer(texts_of_golden(), kVocabSize, folder / "tokenizer.json");
  const Tokenizer tokenizer = Tokenizer::from_file(folder / "tokenizer.json");
  const std::string prompt = "Opinion of people in Japan on: Is it good?\nPlease select:\nA. Very good\nB. No opinion";
  auto expected = tokenizer.encode(prompt, SpecialTokens::kAdd);
  const auto letter = tokenizer.encode("B", SpecialTokens::kOmit);
  ASSERT_EQ(letter.size(), 1U);
  EXPECT_THAT(expected, testing::Contains(letter.front()));
  expected.push_back(letter.front());
  EXPECT_EQ(tokenizer.encode(prompt + "B", SpecialTokens::kAdd), expected);
}

TEST(GemmaTraining, LearnsTheMostFrequentPairFirst) {
  // "ab" occurs 4 times, "bc" 3 times: ab first; then no pair with b and c is left to occur twice but (ab, c).
  const std::vector<std::string> texts = {"abc", "abc", "abc", "ab"};
  const auto merges = train(texts, kVocabSize)["model"]["merges"];
  EXPECT_EQ(merges, nlohmann::json::parse(R"([["a", "b"], ["ab", "c"]])"));
}

TEST(GemmaTraining, LeavesRareCharactersToBytesWhereTheVocabularyIsFull) {
  std::vector<std::string> texts = {"水 水 水"};
  for (int c = 0x100; c < 0x100 + 200; ++c) {  // 200 letters of two bytes, once each, before 水 by code point
    texts.push_back({static_cast<char>(0xC0 | (c >> 6)), static_cast<char>(0x80 | (c & 0x3F))});
  }
  const auto vocab = train(texts, 300)["model"]["vocab"];
  EXPECT_EQ(vocab.size(), 300U);
  EXPECT_TRUE(vocab.contains("水"));
}

TEST(GemmaTraining, KnowsTheSpaceEvenWhereNoTextHasOne) {
  const TempFolder folder;
  train_gemma_tokenizer(std::vector<std::string>{"a", "b"}, 300, folder / "tokenizer.json");
  const Tokenizer tokenizer = Tokenizer::from_file(folder / "tokenizer.json");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a b", SpecialTokens::kOmit), Tokenizer::Decode::kSkipSpecial), "a b");
}

TEST(GemmaTraining, MergesLettersOnlyWithLettersAndASpaceBefore) {
  const std::vector<std::string> texts(4, "\nA. ab 12, ab\nB. ab 12, ab!");
  const auto trained = train(texts, kVocabSize);
  ASSERT_TRUE(trained["model"]["vocab"].contains("▁ab"));
  for (const auto& [token, id] : trained["model"]["vocab"].items()) {
    if (id < 261 || token.size() == 1 || token == "▁") continue;
    const std::string letters = token.starts_with("▁") ? token.substr(std::string("▁").size()) : token;
    EXPECT_THAT(letters, testing::Each(testing::Truly([](char c) { return c == 'a' || c == 'b'; }))) << token;
  }
}

TEST(GemmaTraining, RefusesAVocabularyWithoutRoom) {
  const TempFolder folder;
  const std::vector<std::string> texts = {"a"};
  EXPECT_THAT([&] { train_gemma_tokenizer(texts, 299, folder / "tokenizer.json"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("299")));
  EXPECT_THAT([&] { train_gemma_tokenizer(texts, 300, folder / "absent" / "tokenizer.json"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("absent")));
  const std::vector<std::string> broken = {"a", "\xff"};
  EXPECT_THAT([&] { train_gemma_tokenizer(broken, 300, folder / "tokenizer.json"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("text 1")));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace gemma_training_test
}  // namespace equipoise
