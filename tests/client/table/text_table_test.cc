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

TextColor red_if_bad(const std::string& cell) { return cell == "bad" ? TextColor::kRed : TextColor::kNone; }

TEST(TextTable, ColoursCellsByWhatTheySayAndKeepsTheirColumns) {
  TextTable table(
      {{"state", Align::kLeft, "", red_if_bad}, {"n", Align::kRight}, {"why", Align::kLeft, "", red_if_bad}});
  table.add_row({"bad", "1", "bad"});
  table.add_row({"good", "22", ""});
  table.add_row({"bad", "3", ""}, RowStyle::kMarked);
  EXPECT_EQ(table.text(Colors::kOn, Glyphs::kAscii),
            "state   n  why\n"
            "--------------\n"
            "\x1b[1;31mbad\x1b[0m     1  \x1b[1;31mbad\x1b[0m\n"
            "good   22\n"
            "\x1b[1mbad     3\x1b[0m\n");
  EXPECT_EQ(table.text(Colors::kOff, Glyphs::kAscii),
            "state   n  why\n"
            "--------------\n"
            "bad     1  bad\n"
            "good   22\n"
            "bad     3\n");
}

TextTable awkward_table() {
  TextTable table({{"group"}, {"a|b", Align::kRight, "x_1"}, {"c", Align::kRight, "x_1"}});
  table.add_row({"50 % & \"more\", *all*", "0.5", ""});
  table.add_rule();
  table.add_row({"a\nb", "", "1 \u00b1 2"}, RowStyle::kMarked);
  return table;
}

TEST(TableMarkup, MarkdownEscapesWhatIsMarkupAndKeepsARowInItsLine) {
  EXPECT_EQ(awkward_table().markdown(),
            "| group | x\\_1: a\\|b | x\\_1: c |\n"
            "| --- | ---: | ---: |\n"
            "| 50 % \\& \"more\", \\*all\\* | 0.5 |  |\n"
            "| **a\uFFFDb** |  | **1 \u00b1 2** |\n");
  EXPECT_EQ(markdown_text("<b>`x`</b> [y](z) \\ #1 ~a~"), "\\<b\\>\\`x\\`\\</b\\> \\[y\\](z) \\\\ \\#1 \\~a\\~");
}

TEST(TableMarkup, CsvPutsCommasAndQuotesIntoQuotesAndKeepsARowInItsLine) {
  EXPECT_EQ(awkward_table().csv(),
            "group,x_1: a|b,x_1: c\n"
            "\"50 % & \"\"more\"\", *all*\",0.5,\n"
            "a\uFFFDb,,1 \u00b1 2\n");
}

TEST(TableMarkup, CsvKeepsATextThatASpreadsheetWouldCompute) {
  std::string csv;
  add_csv_row(csv, {"=1+1", "-2", "+3.5e-7", "@SUM(A1)", "-cmd|' /C calc'!A0", "=a,b", "a=b", "-"});
  EXPECT_EQ(csv, "'=1+1,-2,'+3.5e-7,'@SUM(A1),'-cmd|' /C calc'!A0,\"'=a,b\",a=b,'-\n");
}

TEST(TableMarkup, LatexEscapesEachSpecialCharacter) {
  EXPECT_EQ(awkward_table().latex(),
            "\\begin{tabular}{lrr}\n\\toprule\n"
            "\\multicolumn{1}{c}{} & \\multicolumn{2}{c}{x\\_1} \\\\\n"
            "group & a\\textbar{}b & c \\\\\n\\midrule\n"
            "50 \\% \\& \"more\", *all* & 0.5 &  \\\\\n\\midrule\n"
            "\\textbf{a\uFFFDb} &  & \\textbf{1 $\\pm$ 2} \\\\\n"
            "\\bottomrule\n\\end{tabular}\n");
  EXPECT_EQ(latex_text("\\ {} #$^~<> [1] a -- b"),
            "\\textbackslash{} \\{\\} \\#\\$\\textasciicircum{}\\textasciitilde{}\\textless{}\\textgreater{} {[}1{]} a "
            "-{}- b");
}

TEST(TableMarkup, ALatexTableWithoutBandsHasOneRowOfTitles) {
  TextTable table({{"a"}, {"b"}});
  table.add_row({"", "1"});
  EXPECT_EQ(table.latex(),
            "\\begin{tabular}{ll}\n\\toprule\na & b \\\\\n\\midrule\n{} & 1 \\\\\n\\bottomrule\n\\end{tabular}\n");
}

}  // namespace text_table_test
}  // namespace equipoise
