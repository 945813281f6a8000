#include "client/table/text_table.h"

#include <gtest/gtest.h>

#include <sstream>

#include "client/table/display_width.h"

namespace equipoise {
namespace text_table_test {

TEST(TextTable, AlignsColumnsByDisplayWidth) {
  TextTable table({{"group"}, {"loss", Align::kRight}});
  table.add_row({"日本語", "0.5"});
  table.add_row({"a", "12.25"});
  EXPECT_EQ(table.text(Colors::kOff, Glyphs::kAscii),
            "group    loss\n"
            "-------------\n"
            "日本語    0.5\n"
            "a       12.25\n");
}

TEST(TextTable, PutsABandsTitleAboveItsColumnsAndMakesRoomForIt) {
  TextTable table({{"g"}, {"a", Align::kRight, "a long title"}, {"b", Align::kRight, "a long title"}, {"c"}});
  table.add_row({"x", "1", "2", "3"});
  EXPECT_EQ(table.text(Colors::kOff, Glyphs::kAscii),
            "   a long title\n"
            "g  a          b  c\n"
            "------------------\n"
            "x  1          2  3\n");
}

TEST(TextTable, LeavesNoTrailingSpaces) {
  TextTable table({{"a"}, {"b"}});
  table.add_row({"long cell", ""});
  std::istringstream lines(table.text(Colors::kOff, Glyphs::kUnicode));
  for (std::string line; std::getline(lines, line);) EXPECT_FALSE(line.ends_with(' ')) << line;
}

TEST(TextTable, WritesEscapesOnlyForColoursAndNeverThoseOfACell) {
  TextTable table({{"a"}});
  table.add_row({"\x1b[31mred"}, RowStyle::kMarked);
  EXPECT_EQ(table.text(Colors::kOff, Glyphs::kAscii).find('\x1b'), std::string::npos);
  EXPECT_NE(table.text(Colors::kOn, Glyphs::kAscii).find("\x1b[1m\uFFFD[31mred\x1b[0m\n"), std::string::npos);
}

}  // namespace text_table_test
}  // namespace equipoise
