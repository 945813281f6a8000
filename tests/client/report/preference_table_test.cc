#include "client/report/preference_table.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace {

TEST(PreferenceTable, HasARowForEachGroup) {
  PreferenceCounts counts{.pairs_of_file = {12}, .train = 12, .validation = 0, .groups = {{"India", 11}, {"Kenya", 1}}};
  EXPECT_EQ(preference_table(counts, Colors::kOff, Glyphs::kAscii),
            "group  pairs\n"
            "------------\n"
            "India     11\n"
            "Kenya      1\n");
}

TEST(PreferenceTable, HasAColumnForEachSide) {
  PreferenceCounts counts{.pairs_of_file = {12}, .train = 9, .validation = 3, .groups = {{"India", 9, 3}}};
  const std::string table = preference_table(counts, Colors::kOff, Glyphs::kAscii);
  EXPECT_NE(table.find("train  validation"), std::string::npos) << table;
  EXPECT_NE(table.find("India      9           3"), std::string::npos) << table;
}

}  // namespace
}  // namespace equipoise
