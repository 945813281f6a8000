#include "client/report/preference_table.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace preference_table_test {

TEST(PreferenceTable, HasARowForEachGroup) {
  PreferenceCounts counts{.pairs_of_file = {12}, .train = 12, .validation = 0, .groups = {{"India", 11}, {"Kenya", 1}}};
  EXPECT_EQ(preference_table(counts, Colors::kOff, Glyphs::kAscii),
            "group  pairs\n"
            "------------\n"
            "India     11\n"
            "Kenya      1\n");
}

TEST(PreferenceTable, HasAColumnForWhatIsOddWhereSomeGroupHasIt) {
  PreferenceCounts counts{.pairs_of_file = {12}, .train = 12, .validation = 0, .groups = {{"India", 11}, {"Kenya", 1}}};
  counts.groups[0].duplicates = 3;
  const std::string table = preference_table(counts, Colors::kOff, Glyphs::kAscii);
  EXPECT_NE(table.find("duplicates\n"), std::string::npos) << table;
  EXPECT_NE(table.find("India     11           3\n"), std::string::npos) << table;
  EXPECT_EQ(table.find("equal answers"), std::string::npos) << table;
  counts.all_duplicates_found = false;
  EXPECT_NE(preference_table(counts, Colors::kOff, Glyphs::kAscii).find("too many"), std::string::npos);
}

TEST(PreferenceTable, HasAColumnForEachSide) {
  PreferenceCounts counts{.pairs_of_file = {12}, .train = 9, .validation = 3, .groups = {{"India", 9, 3}}};
  const std::string table = preference_table(counts, Colors::kOff, Glyphs::kAscii);
  EXPECT_NE(table.find("train  validation"), std::string::npos) << table;
  EXPECT_NE(table.find("India      9           3"), std::string::npos) << table;
}

}  // namespace preference_table_test
}  // namespace equipoise
