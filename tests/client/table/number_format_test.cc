#include "client/table/number_format.h"

#include <gtest/gtest.h>

#include <limits>

namespace equipoise {
namespace number_format_test {

using std::chrono::seconds;

TEST(NumberFormat, ShowsTimeAsPeopleReadIt) {
  EXPECT_EQ(duration_text(seconds(0)), "0:00");
  EXPECT_EQ(duration_text(seconds(59)), "0:59");
  EXPECT_EQ(duration_text(seconds(12 * 60 + 3)), "12:03");
  EXPECT_EQ(duration_text(seconds(3600)), "1:00:00");
  EXPECT_EQ(duration_text(seconds(47 * 3600 + 59 * 60 + 59)), "47:59:59");
  EXPECT_EQ(duration_text(seconds(3 * 86400 + 4 * 3600)), "3 d 4 h");
  EXPECT_EQ(duration_text(seconds(-5)), "0:00");
}

TEST(NumberFormat, KeepsFourDecimalsOfALossUntilItIsTooSmallOrTooLarge) {
  EXPECT_EQ(loss_text(0.693147), "0.6931");
  EXPECT_EQ(loss_text(0.0), "0.0000");
  EXPECT_EQ(loss_text(1.25e-6), "1.25e-06");
  EXPECT_EQ(loss_text(1.5e6), "1.5e+06");
  EXPECT_EQ(loss_text(std::numeric_limits<double>::quiet_NaN()), "nan");
  EXPECT_EQ(loss_text(std::nullopt), "\u2013");
}

TEST(NumberFormat, ShowsFractionsOfACountOnlyWhereThereAreAny) {
  EXPECT_EQ(count_text(812), "812");
  EXPECT_EQ(count_text(40.5), "40.5");
}

TEST(NumberFormat, ShowsThreeDigitsOfASize) {
  EXPECT_EQ(size_text(0), "0 B");
  EXPECT_EQ(size_text(999), "999 B");
  EXPECT_EQ(size_text(1000), "1.00 kB");
  EXPECT_EQ(size_text(12'345'678), "12.3 MB");
  EXPECT_EQ(size_text(999'600), "1.00 MB");
  EXPECT_EQ(size_text(999'499), "999 kB");
  EXPECT_EQ(size_text(1'240'000'000), "1.24 GB");
  EXPECT_EQ(size_text(std::numeric_limits<std::int64_t>::max()), "9.22 EB");
}

}  // namespace number_format_test
}  // namespace equipoise
