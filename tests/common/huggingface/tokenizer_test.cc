#include "common/huggingface/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
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

// A tokenizer.json comes with a model from somewhere. What it may make of a text is bounded.
class HostileTokenizer : public testing::Test {
 protected:
  // Gemma's with a part of its own.
  Tokenizer gemma_with(const std::string& part, const nlohmann::json& value) {
    auto json = nlohmann::json::parse(read_file("golden/tokenizer/gemma/tokenizer.json"));
    json[part] = value;
    return Tokenizer::from_file(folder_.write("tokenizer.json", json.dump()));
  }
  // The message behind the file's name; the text is one of three.
  std::string refusal(const Tokenizer& tokenizer, const std::string& text) {
    const std::vector<std::string> texts = {"", text, ""};
    try {
      tokenizer.encode_batch(texts, SpecialTokens::kAdd, 2);
    } catch (const TextRefused& refused) {
      EXPECT_EQ(refused.text(), 1U);
      const std::string name = (folder_ / "tokenizer.json").string() + ": ";
      EXPECT_THAT(refused.what(), testing::StartsWith(name));
      return std::string(refused.what()).substr(name.size());
    }
    return "no refusal";
  }

  const TempFolder folder_;
};

nlohmann::json replace(const nlohmann::json& pattern, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", pattern}, {"content", content}};
}

TEST_F(HostileTokenizer, MayNotMakeALongTextOfAShortOne) {
  // Each makes ten letters of one: of the text's four the fifth would make 400,000, the last 4 TB.
  nlohmann::json parts = nlohmann::json::array();
  for (int i = 0; i < 12; ++i) parts.push_back(replace({{"String", "z"}}, std::string(10, 'z')));
  EXPECT_EQ(refusal(gemma_with("normalizer", {{"type", "Sequence"}, {"normalizers", parts}}), "zzzz"),
            "its Replace of \"z\" makes 400000 bytes of a text of 4, expected at most 65664");
  // 1 MiB at each of 101 places, at once.
  const Tokenizer everywhere = gemma_with("normalizer", replace({{"Regex", ""}}, std::string(1 << 20, 'y')));
  EXPECT_THAT(
      refusal(everywhere, std::string(100, 'z')),
      testing::StartsWith("its Replace of \"\" makes 105906276 bytes of a text of 100, expected at most 68736"));
  const Tokenizer before = gemma_with("normalizer", {{"type", "Prepend"}, {"prepend", std::string(1 << 20, 'y')}});
  EXPECT_EQ(refusal(before, "z"), "its normalizer makes 1048577 bytes of a text of 1, expected at most 65568");
}

// The library takes a search that gives up for one that finds nothing: other ids, without a word.
TEST_F(HostileTokenizer, MayNotSearchForEver) {
  const nlohmann::json pattern = {{"Regex", R"raw((?:z|zz)+(?!z|\z))raw"}};
  const std::string told =
      R"raw(of "(?:z|zz)+(?!z|\\z)" takes too much work: one search may take 16777216 steps back)raw";
  const std::string text(100, 'z');
  const nlohmann::json split = {{"type", "Split"}, {"pattern", pattern}, {"behavior", "Isolated"}, {"invert", false}};
  const nlohmann::json sequence = {{"type", "Sequence"}, {"pretokenizers", nlohmann::json::array({split})}};
  EXPECT_THAT(refusal(gemma_with("pre_tokenizer", split), text), testing::StartsWith("its Split " + told));
  EXPECT_THAT(refusal(gemma_with("pre_tokenizer", sequence), text), testing::StartsWith("its Split " + told));
  EXPECT_THAT(refusal(gemma_with("normalizer", replace(pattern, "")), text),
              testing::StartsWith("its Replace " + told));
}

TEST_F(HostileTokenizer, MayNotTakeAllMemory) {
  // The text 20,000 times.
  const nlohmann::json whole = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  nlohmann::json post_processor =
      nlohmann::json::parse(read_file("golden/tokenizer/gemma/tokenizer.json"))["post_processor"];
  post_processor["single"] = nlohmann::json(std::size_t{20000}, whole);
  EXPECT_EQ(refusal(gemma_with("post_processor", post_processor), std::string(10240, 'Z')),
            "its post_processor takes more than 522 MiB of memory for this text");
}

TEST_F(HostileTokenizer, MayNotTakeAProcessorForEver) {
  // All starts times all ends of a word: a quarter of a minute.
  const nlohmann::json model = {{"type", "WordPiece"},
                                {"unk_token", "[UNK]"},
                                {"continuing_subword_prefix", "##"},
                                {"max_input_chars_per_word", 1000000000},
                                {"vocab", {{"[UNK]", 0}, {"a", 1}, {"##a", 2}}}};
  const nlohmann::json json = {{"version", "1.0"}, {"added_tokens", nlohmann::json::array()}, {"model", model}};
  const auto path = folder_.write("tokenizer.json", json.dump());
  const Tokenizer tokenizer = Tokenizer::from_file(path, std::chrono::milliseconds(250));
  EXPECT_EQ(tokenizer.encode("aaa", SpecialTokens::kAdd), (Ids{1, 2, 2}));
  EXPECT_EQ(refusal(tokenizer, std::string(9000, 'a')), "its model takes longer than 0.25 s for this text");
}

TEST_F(HostileTokenizer, IsRefusedWhereItCannotBeRead) {
  const nlohmann::json pattern = {{"Regex", "(?:(?:z{1000}){1000}){1000}"}};  // 1e9 states
  EXPECT_THAT([&] { gemma_with("normalizer", replace(pattern, "")); },
              ThrowsMessage<std::invalid_argument>(
                  AllOf(HasSubstr("tokenizer.json: is not a tokenizer: "), testing::Not(HasSubstr("\n")))));
}

// Patterns of GPT-2, Llama 3 and Qwen 2 split a line alike wherever it stands: a long text has the ids of its lines.
TEST_F(HostileTokenizer, BoundsLeaveLongTextsAsTheyAre) {
  const auto golden = nlohmann::json::parse(read_file("golden/tokenizer/llama/tokenizer.json"));
  const nlohmann::json bytes = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  nlohmann::json gpt2 = bytes;
  gpt2["use_regex"] = true;
  nlohmann::json qwen2 = golden["pre_tokenizer"];
  qwen2["pretokenizers"][0]["pattern"]["Regex"] =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  for (const nlohmann::json& pre_tokenizer : {golden["pre_tokenizer"], gpt2, qwen2}) {
    nlohmann::json json = golden;
    json["pre_tokenizer"] = pre_tokenizer;
    const Tokenizer tokenizer = Tokenizer::from_file(folder_.write("tokenizer.json", json.dump()));
    const std::string line = "It's 2024: \u6c34   and\t\u00e9t\u00e9, they'LL say 'why?!' x\n";
    const Ids ids = tokenizer.encode(line, SpecialTokens::kOmit);
    const std::size_t num_lines = (1 << 20) / line.size();
    std::string text;
    for (std::size_t i = 0; i < num_lines; ++i) text += line;
    const Ids all = tokenizer.encode(text, SpecialTokens::kOmit);
    ASSERT_EQ(all.size(), num_lines * ids.size());
    for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], ids[i % ids.size()]) << i;
  }
}

// train_gemma_tokenizer: what a new tokenizer.json looks like, and that the same texts give the same bytes.

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

}  // namespace tokenizer_test
}  // namespace equipoise
