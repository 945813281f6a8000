#include "client/table/display_width.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace display_width_test {

TEST(DisplayWidth, CountsColumnsAndNotBytes) {
  EXPECT_EQ(display_width("Democrat"), 8u);
  EXPECT_EQ(display_width("Größe"), 5u);
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("e\u0301"), 1u);  // a combining accent takes no column
}

TEST(DisplayWidth, MakesWhatWouldMoveTheCursorVisible) {
  EXPECT_EQ(printable("a\x1b[2Jb\tc\n"), "a\uFFFD[2Jb\uFFFDc\uFFFD");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\uFFFDb");
  EXPECT_EQ(printable("\xff\xc3"), "\uFFFD\uFFFD");
  EXPECT_EQ(display_width("\xff\x1b"), 2u);
}

TEST(DisplayWidth, ShortensToAtMostTheColumnsGiven) {
  EXPECT_EQ(shorten("Democrat", 8), "Democrat");
  EXPECT_EQ(shorten("Democrat", 5), "Demo\u2026");
  // Two wide characters and the ellipsis are 5 columns: 4 hold one only.
  EXPECT_EQ(shorten("日本語", 4), "日\u2026");
  EXPECT_EQ(shorten("日本語", 1), "\u2026");
  EXPECT_EQ(shorten("日本語", 0), "");
}

// A terminal breaks a line that is too long wherever it is, in the midst of a number too.
TEST(DisplayWidth, BreaksALineBetweenWords) {
  EXPECT_EQ(wrapped("", 10), "");
  EXPECT_EQ(wrapped("gr-dpo  loss 0.6250", 19), "gr-dpo  loss 0.6250");
  EXPECT_EQ(wrapped("gr-dpo  loss 0.6250", 18), "gr-dpo  loss\n  0.6250");
  EXPECT_EQ(wrapped("gr-dpo  loss 0.6250, accuracy 0.250", 12), "gr-dpo  loss\n  0.6250,\n  accuracy\n  0.250");
  EXPECT_EQ(wrapped("日本語 日本語", 8), "日本語\n  日本語") << "6 columns each";
  EXPECT_EQ(wrapped("/a/very/long/path is there", 8), "/a/very/long/path\n  is\n  there");
}

TEST(DisplayWidth, OfLinesIsThatOfTheWidest) {
  EXPECT_EQ(text_width(""), 0U);
  EXPECT_EQ(text_width("a\nabc\n\nab"), 3U);
  EXPECT_EQ(text_width("日本\n"), 4U);
}

}  // namespace display_width_test
}  // namespace equipoise
