#include "worker/data/pair_chunks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace pair_chunks_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class Chunks : public testing::Test {
 protected:
  // Prompts "0", "1", ... and answers "c" and "r", all in groups of their own.
  std::filesystem::path write(int count, const std::string& last = {}) const {
    std::string lines;
    for (int i = 0; i < count; ++i) {
      const std::string number = std::to_string(i);
      lines += R"({"prompt": ")" + number + R"(", "chosen": "c", "rejected": "r", "group": "g)" + number + "\"}\n";
    }
    return folder_.write("pairs.jsonl", lines + last);
  }

  // The prompts of each chunk, one after the other.
  static std::vector<std::string> read(PairChunks& chunks) {
    std::vector<std::string> prompts;
    for (auto pairs = chunks.next(); !pairs.empty(); pairs = chunks.next()) {
      prompts.emplace_back();
      for (const PreferencePair& pair : pairs) prompts.back() += pair.prompt;
    }
    return prompts;
  }

  TempFolder folder_;
};

TEST_F(Chunks, HaveAllPairsInOrder) {
  for (const auto& [limit, expected] :
       {std::pair(1, std::vector<std::string>{"0", "1", "2", "3"}), {3, {"012", "3"}}, {4, {"0123"}}, {9, {"0123"}}}) {
    PairChunks chunks({write(4), {}}, {.pairs = static_cast<std::size_t>(limit)});
    EXPECT_EQ(read(chunks), expected) << limit;
    EXPECT_THAT(chunks.group_names(), ElementsAre("g0", "g1", "g2", "g3"));
    EXPECT_TRUE(chunks.next().empty());
  }
}

// A pair has three bytes of texts.
TEST_F(Chunks, EndWhereTheirTextsAreLong) {
  PairChunks chunks({write(5), {}}, {.pairs = 100, .bytes = 6});
  EXPECT_THAT(read(chunks), ElementsAre("01", "23", "4"));
  PairChunks small({write(2), {}}, {.pairs = 100, .bytes = 1});
  EXPECT_THAT(read(small), ElementsAre("0", "1"));
}

TEST_F(Chunks, GiveThePairsBeforeALineThatIsWrong) {
  PairChunks chunks({write(2, "{"), {}}, {.pairs = 2});
  EXPECT_EQ(chunks.next().size(), 2U);
  EXPECT_THAT(chunks.place(2), HasSubstr("pairs.jsonl:2"));
  EXPECT_THAT([&] { chunks.next(); }, ThrowsMessage<std::invalid_argument>(HasSubstr("pairs.jsonl:3: ")));
}

TEST_F(Chunks, OfAFileWithoutPairsAreRefused) {
  EXPECT_THAT(
      [&] {
        PairChunks({write(0), {}}, {});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("holds no pairs")));
}

}  // namespace pair_chunks_test
}  // namespace equipoise
