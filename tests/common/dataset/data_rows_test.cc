// Pairs of Parquet files, Arrow streams and folders; golden/tables/make_tables.py has what is in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "client/data/preference_writer.h"
#include "common/dataset/preference_reader.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace data_rows_test {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> lines(const fs::path& path, const PreferenceReadSettings& settings = {}) {
  std::vector<std::string> lines;
  PreferenceReader reader(path, settings);
  for (PreferencePair pair; reader.next(pair);) lines.push_back(preference_line(pair, reader.group_names()));
  return lines;
}

std::string refusal(const fs::path& path, const PreferenceReadSettings& settings = {}) {
  return refusal_of([&] { lines(path, settings); });
}

const fs::path kTexts = "golden/tables/texts.parquet";

TEST(TablePairs, OfAParquetFileAreThoseOfTheSameJson) {
  EXPECT_THAT(
      lines(kTexts, {.group_columns = {"country", "age", "urban"}}),
      ElementsAre(R"({"prompt":"Is tea \"good\"?\n","chosen":" Yes","rejected":" No","group":"India & 30 & true"})",
                  R"({"prompt":"Ist Tee gut?","chosen":" Ja: ☕","rejected":" Nein","group":"Köln & -1 & false"})",
                  R"({"prompt":"","chosen":"a\tb","rejected":"","group":"India & 4 & true"})"));
}

TEST(TablePairs, WithoutAGroupColumnAreInOneGroup) {
  EXPECT_THAT(lines(kTexts).at(0), HasSubstr(R"("group":"all")"));
  EXPECT_THAT(lines(kTexts, {.group = "India"}).at(1), HasSubstr(R"("group":"India")"));
}

// Null is absent: of memberships, of fields, of what a message has.
TEST(TablePairs, HaveMessagesAndMemberships) {
  const std::string first =
      R"({"prompt":[{"role":"user","content":"Tea?"}],"chosen":[{"role":"assistant","content":"Yes","thought":"hm"}],)"
      R"("rejected":[{"role":"assistant","content":"No"}],"tools":[{"name":"kettle"}],"group":"India","chosen_share":0.75})";
  const std::string second =
      R"({"prompt":[{"role":"user","content":"Rain?"}],"chosen":[{"role":"assistant","content":"No"}],)"
      R"("rejected":[{"role":"assistant","content":"Yes"}],"group":{"India":0.5,"Asia":1.0},"chosen_share":0.5})";
  EXPECT_THAT(lines("golden/tables/messages.parquet"), ElementsAre(first, second));
}

TEST(TablePairs, OfASavedDataSetAreThoseOfAllItsFiles) {
  const std::vector<std::string> saved = lines("golden/tables/saved");
  ASSERT_EQ(saved.size(), 2u);
  EXPECT_THAT(saved[0], HasSubstr(R"("content":"Yes")"));
  EXPECT_THAT(saved[1], HasSubstr(R"("group":{"India":0.5,"Asia":1.0},"chosen_share":0.5})"));
}

// A row without a group once formed a group "all" beside the others; null is no value in Parquet and in Arrow.
TEST(TablePairs, OfWhichOneIsWithoutAGroupAreRefused) {
  for (const std::string name : {"golden/tables/gap.parquet", "golden/tables/gap"}) {
    EXPECT_THAT(refusal(name), HasSubstr(": row 2: field \"group\" is missing, but not on "));
    EXPECT_THAT(refusal(name), HasSubstr("row 1, expected all rows to have one or none"));
  }
}

TEST(TablePairs, HaveIntegersAndTheNamesOfClassLabelsAsGroups) {
  const auto groups = [](const fs::path& path, const std::string& column = "group") {
    PreferenceReader reader(path, {.group_columns = {column}});
    for (PreferencePair pair; reader.next(pair);) {
    }
    return reader.group_names();
  };
  EXPECT_THAT(groups("golden/tables/integers.parquet"), ElementsAre("1", "0"));
  EXPECT_THAT(groups("golden/tables/labelled.parquet"), ElementsAre("Köln", "India"));
  EXPECT_THAT(groups("golden/tables/labelled"), ElementsAre("Köln", "India"));
  EXPECT_THAT(groups("golden/tables/labelled", "groups"), ElementsAre("Köln", "India"));
  EXPECT_THAT(groups(kTexts, "urban"), ElementsAre("true", "false"));
}

// Without the names of a label its integers became the groups' names in silence.
TEST(TablePairs, BesideADescriptionThatIsNotThereAreRefused) {
  const TempFolder folder;
  const fs::path file = folder.write("a.parquet", read_file("golden/tables/integers.parquet"));
  folder.write("dataset_info.json", "version https://git-lfs.github.com/spec/v1\n");
  EXPECT_THAT(refusal(file), HasSubstr("dataset_info.json: is a Git-LFS pointer"));
}

TEST(TablePairs, NameTheColumnsThatAreNotUsed) {
  PreferenceReader reader(kTexts, {.group_columns = {"country"}});
  PreferencePair pair;
  ASSERT_TRUE(reader.next(pair));
  EXPECT_THAT(reader.fields().unused, ElementsAre("age", "urban", "photo"));
}

TEST(TablePairs, AreNamedByFileAndRow) {
  PreferenceReader reader("golden/tables/saved", {});
  PreferencePair pair;
  ASSERT_TRUE(reader.next(pair) && reader.next(pair));
  EXPECT_EQ(pair.line, 2);
  EXPECT_EQ(reader.place(1), "golden/tables/saved/data-00000-of-00002.arrow: row 1");
  EXPECT_EQ(reader.place(2), "golden/tables/saved/data-00001-of-00002.arrow: row 1");
  // "Köln" ends with the separator.
  EXPECT_THAT(
      refusal(kTexts, {.group_separator = "n", .group_columns = {"country"}}),
      HasSubstr("golden/tables/texts.parquet: row 2: field \"group\" is \"Köln\", expected a name on each side"));
}

TEST(TablePairs, AGroupColumnThatIsNotThereIsNamedBesideThoseThatAre) {
  EXPECT_EQ(refusal(kTexts, {.group_columns = {"contry"}}),
            "golden/tables/texts.parquet: has no column \"contry\", it has \"prompt\", \"chosen\", \"rejected\", "
            "\"country\", \"age\", \"urban\", \"photo\"");
}

TEST(TablePairs, OfAFileThatIsCutOffAreRefused) {
  const TempFolder folder;
  const fs::path file = folder.write("cut.parquet", read_file(kTexts));
  fs::resize_file(file, fs::file_size(file) - 4);
  EXPECT_EQ(refusal(file),
            file.string() + ": begins as a Parquet file but does not end as one: it is cut off, or encrypted");
}

}  // namespace data_rows_test
}  // namespace equipoise
