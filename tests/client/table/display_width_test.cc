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

}  // namespace display_width_test
}  // namespace equipoise
