#include "client/plot/html_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/plot/palette.h"

namespace equipoise::plot {
namespace html_page_test {

using testing::HasSubstr;

TEST(HtmlPage, EscapesItsTitleAndKeepsItsBody) {
  const std::string page = html_page("a & b", "<p>c</p>");
  EXPECT_THAT(page, HasSubstr("<title>a &amp; b</title>"));
  EXPECT_THAT(page, HasSubstr("<p>c</p>"));
}

TEST(HtmlPage, HasColoursForLightAndForDark) {
  const std::string page = html_page("", "");
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme: dark"));
  for (const Ink ink : {Ink::kVermilion, Ink::kBlue, Ink::kGreen, Ink::kPurple, Ink::kOrange, Ink::kSky, Ink::kGrey}) {
    EXPECT_THAT(page, HasSubstr(std::string(".").append(ink_class(ink)).append(" {")));
  }
}

}  // namespace html_page_test
}  // namespace equipoise::plot
