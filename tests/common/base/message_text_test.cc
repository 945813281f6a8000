#include "common/base/message_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace equipoise {
namespace message_text_test {

TEST(NumberText, IsTheShortestThatReadsBack) {
  EXPECT_EQ(number_text(0.1), "0.1");
  EXPECT_EQ(number_text(3), "3");
  EXPECT_EQ(number_text(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(number_text(-std::numeric_limits<double>::denorm_min()), "-5e-324");
  EXPECT_EQ(number_text(-std::numeric_limits<double>::max()), "-1.7976931348623157e+308");
  EXPECT_EQ(number_text(NAN), "nan");
}

TEST(QuotedText, KeepsAMessageOnOneLine) {
  EXPECT_EQ(quoted_text("a b"), "\"a b\"");
  EXPECT_EQ(quoted_text("a\nb\x7F"), "\"a\\x0ab\\x7f\"");
  EXPECT_EQ(quoted_text("é\xFF"), "\"é\\xff\"");
}

// U+009B, which terminals take for ESC [.
TEST(MessageText, HasNoControlOfTheUpperHalf) {
  EXPECT_EQ(quoted_text("a\xC2\x9B"
                        "31m\xC2\xA0"),
            "\"a\\xc2\\x9b31m\xC2\xA0\"");
  EXPECT_EQ(one_line("a\xC2\x9B"
                     "31m\xC2\x80\xC2\x9F\xC2\xA0é",
                     80),
            "a 31m  \xC2\xA0é");
}

TEST(QuotedText, IsCutAtTheEndOfACharacter) {
  EXPECT_EQ(quoted_text(std::string(80, 'a')), '"' + std::string(80, 'a') + '"');
  EXPECT_EQ(quoted_text(std::string(79, 'a') + "éx"), '"' + std::string(79, 'a') + "é...\"");
}

TEST(IsUtf8, AcceptsTheEdgesOfEveryLength) {
  for (const std::string text : {"", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                                 "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(is_utf8(text));
  }
}

TEST(IsUtf8, RefusesOverlongSurrogatesAndWhatIsCutOff) {
  for (const std::string text : {"\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
                                 "\xE2\x82\x41", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    EXPECT_FALSE(is_utf8("a" + text)) << quoted_text(text);
  }
}

TEST(Utf8Text, KeepsUtf8AndMakesTheRestAscii) {
  EXPECT_EQ(utf8_text("Zürich"), "Zürich");
  EXPECT_EQ(utf8_text("Z\xFCrich"), "Z?rich");
}

}  // namespace message_text_test
}  // namespace equipoise
