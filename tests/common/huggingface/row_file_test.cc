#include "common/huggingface/row_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace row_file_test {

using testing::HasSubstr;

const std::string kTexts = "golden/tables/texts.parquet";
const std::string kStream = "golden/tables/saved/data-00000-of-00002.arrow";

std::string all_rows(const std::filesystem::path& path, const std::vector<std::string>& required,
                     const std::vector<std::string>& optional = {}) {
  RowFile file = RowFile::open(path, {.required = required, .optional = optional});
  std::string rows;
  for (std::string_view some = file.next(); !some.empty(); some = file.next()) rows += some;
  return rows;
}

std::string refusal(const std::filesystem::path& path, const std::vector<std::string>& required = {"chosen"}) {
  return refusal_of([&] { all_rows(path, required); });
}

TEST(RowFile, ReadsTheWantedColumnsAlone) {
  EXPECT_EQ(all_rows(kTexts, {"age"}, {"urban", "absent"}),
            "{\"age\":30,\"urban\":true}\n{\"age\":-1,\"urban\":false}\n{\"age\":4,\"urban\":true}\n");
}

TEST(RowFile, LeavesOutWhatIsNull) {
  EXPECT_EQ(all_rows(kStream, {"group", "chosen_share"}), "{\"group\":{\"India\":1.0},\"chosen_share\":0.75}\n");
}

// In place of the integers of a ClassLabel, whose names are beside the schema.
TEST(RowFile, GivesTheNamesOfClassLabels) {
  const std::string wanted =
      "{\"group\":\"Köln\",\"groups\":[\"Köln\",\"India\"]}\n{\"group\":\"India\",\"groups\":[\"India\"]}\n";
  EXPECT_EQ(all_rows("golden/tables/labelled.parquet", {"group", "groups"}), wanted);
  EXPECT_EQ(all_rows("golden/tables/labelled/data-00000-of-00001.arrow", {"group", "groups"}), wanted);
  EXPECT_EQ(all_rows("golden/tables/integers.parquet", {"group"}), "{\"group\":1}\n{\"group\":0}\n");
}

TEST(RowFile, FindsTheNamesBesideAFileThatDoesNotHaveThem) {
  const TempFolder folder;
  const std::filesystem::path file = folder.write("a.parquet", read_file("golden/tables/integers.parquet"));
  folder.write("dataset_info.json", read_file("golden/tables/labelled/dataset_info.json"));
  EXPECT_EQ(all_rows(file, {"group"}), "{\"group\":\"Köln\"}\n{\"group\":\"India\"}\n");
  folder.write("dataset_info.json", R"({"features": {"group": {"names": ["one"], "_type": "ClassLabel"}}})");
  EXPECT_EQ(refusal(file, {"group"}),
            file.string() + ": row 1: column \"group\" has the class label 1, expected one of its 1 names, from 0");
  for (const std::string other : {"", "{", "[]", R"({"features": {"group": {"_type": "ClassLabel"}}})",
                                  R"({"features": {"group": {"names": [1], "_type": "ClassLabel"}}})"}) {
    folder.write("dataset_info.json", other);
    EXPECT_EQ(all_rows(file, {"group"}), "{\"group\":1}\n{\"group\":0}\n") << other;
  }
}

TEST(RowFile, SaysWhichColumnsAreNotRead) {
  const std::vector<std::string> wanted = {"prompt", "chosen"};
  EXPECT_THAT(RowFile::open(kTexts, {.required = wanted, .optional = {}}).unread_columns(),
              testing::ElementsAre("rejected", "country", "age", "urban", "photo"));
}

TEST(RowFile, RefusesATypeWithoutAJson) {
  EXPECT_EQ(refusal(kTexts, {"photo"}), kTexts +
                                            ": has a column \"photo\" of type Binary, expected text, numbers, true "
                                            "or false, or lists, structs and maps of those");
}

TEST(RowFile, RefusesWhatIsNeitherParquetNorArrow) {
  const TempFolder folder;
  EXPECT_THAT(refusal(folder.write("a", "{\"prompt\": 1}")), HasSubstr("begins neither as a Parquet file nor as"));
  EXPECT_THAT(refusal(folder.write("b", "PA")), HasSubstr("b: "));
  EXPECT_THAT(refusal(folder.path()), HasSubstr("is not a file"));
  EXPECT_THAT(refusal(folder / "absent"), HasSubstr("absent: "));
}

// Where whole batches were missing the others were taken for all.
TEST(RowFile, RefusesAStreamThatIsCutShort) {
  const TempFolder folder;
  const std::string whole = read_file(kStream);
  const std::size_t end = 8;  // bytes that mark the end of a stream
  for (const std::size_t size : {whole.size() - end, whole.size() - end - 1, whole.size() - 1, whole.size() - 4,
                                 whole.size() / 2, std::size_t{100}, std::size_t{4}}) {
    EXPECT_THAT(refusal(folder.write("a.arrow", whole.substr(0, size))),
                HasSubstr("a.arrow: is cut short, an Arrow stream without its end: download it again"))
        << size;
  }
  EXPECT_EQ(refusal(folder.write("a.arrow", whole)), "accepted");
}

// Neither crashes nor hangs, whatever the bytes are.
TEST(RowFile, SurvivesFilesThatAreCutOffOrChanged) {
  const TempFolder folder;
  std::mt19937 random(1);
  for (const std::string& name : {kTexts, std::string("golden/tables/messages.parquet"), kStream}) {
    const std::string whole = read_file(name);
    for (std::size_t i = 0; i < 150; ++i) {
      std::string broken = whole;
      for (std::size_t change = 0; change < 1 + i % 4; ++change) {
        broken[random() % broken.size()] = static_cast<char>(random() % 256);
      }
      if (i % 5 == 0) broken.resize(random() % broken.size());
      refusal(folder.write("broken", broken), {"chosen", "rejected"});
    }
  }
}

// One level of a schema is 7 bytes of the footer, which may have 8 MiB, and the library recurses.
TEST(RowFile, SurvivesASchemaOfAMillionLevels) {
  const std::string level("\x35\x00\x18\x00\x15\x02\x00", 7);
  const std::string leaf(
      "\x15\x02\x25\x00\x18\x01"
      "b\x00",
      8);
  const std::uint32_t levels = 1198000;
  std::string footer("\x15\x02\x19\xFC", 4);
  for (std::uint32_t count = levels + 1; count > 0; count >>= 7) {
    footer += static_cast<char>((count & 0x7F) | (count > 0x7F ? 0x80 : 0));
  }
  for (std::uint32_t i = 0; i < levels; ++i) footer += level;
  footer += leaf + std::string("\x16\x00\x19\x0C\x00", 5);
  std::string size(4, '\0');
  for (std::size_t i = 0; i < 4; ++i) size[i] = static_cast<char>(footer.size() >> (8 * i) & 0xFF);
  const TempFolder folder;
  EXPECT_THAT(refusal(folder.write("deep", "PAR1" + footer + size + "PAR1")), HasSubstr("nested more than 64 levels"));
  EXPECT_THAT(refusal(folder.write("long", "PAR1" + footer + std::string("\xFF\xFF\xFF\x7F", 4) + "PAR1")),
              HasSubstr("says its footer has 2147483647 bytes"));
}

// An Arrow message may say that its body has any number of bytes.
TEST(RowFile, DoesNotTakeTheMemoryThatAFileAsksFor) {
  const std::string whole = read_file(kStream);
  const TempFolder folder;
  std::size_t refused = 0;
  for (std::size_t place = 0; place + 8 < whole.size(); place += 8) {
    std::string broken = whole;
    broken.replace(place, 8, std::string("\x00\x00\x00\x00\xFF\x7F\x00\x00", 8));  // 2^47 as an int64
    refused += refusal(folder.write("broken", broken)) == "accepted" ? 0 : 1;
  }
  EXPECT_GT(refused, 10u);
}

}  // namespace row_file_test
}  // namespace equipoise
