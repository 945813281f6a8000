#include "client/plot/svg_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace equipoise::plot {
namespace svg_writer_test {

using testing::HasSubstr;

TEST(SvgWriter, EscapesTextsAndAttributes) {
  SvgWriter svg({10, 10}, "a \"b\" & c");
  svg.text({1, 2}, Anchor::kStart, "tick", "x < y\x01");
  const std::string text = svg.finish();
  EXPECT_THAT(text, HasSubstr("aria-label=\"a &quot;b&quot; &amp; c\""));
  EXPECT_THAT(text, HasSubstr(">x &lt; y</text>"));
}

TEST(SvgWriter, ClosesWhatIsOpen) {
  SvgWriter svg({10, 10}, "");
  svg.open("g", {{"class", "a"}});
  const std::string text = svg.finish();
  EXPECT_TRUE(text.ends_with("</g>\n</svg>\n")) << text;
}

TEST(PixelText, HasAtMostTwoDecimalsAndNoNegativeZero) {
  EXPECT_EQ(pixel_text(12), "12");
  EXPECT_EQ(pixel_text(0.2549), "0.25");
  EXPECT_EQ(pixel_text(-0.001), "0");
  EXPECT_EQ(pixel_text(100), "100");
}

}  // namespace svg_writer_test
}  // namespace equipoise::plot
