#include "experiments/report/significant_text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace equipoise::reproduce {
namespace significant_text_test {

TEST(SignificantText, HasThreeDigits) {
  EXPECT_EQ(significant_text(0.47981), "0.480");
  EXPECT_EQ(significant_text(-17.583), "−17.6");
  EXPECT_EQ(significant_text(0.00123456), "0.00123");
  EXPECT_EQ(significant_text(123456), "123456");
  EXPECT_EQ(significant_text(1.234e-7), "1.23e-07");
}

TEST(SignificantText, HasAsManyDigitsAsAsked) {
  EXPECT_EQ(significant_text(0.0243, 2), "0.024");
  EXPECT_EQ(significant_text(1.234e-7, 2), "1.2e-07");
}

TEST(SignificantText, NamesWhatIsNoNumber) {
  EXPECT_EQ(significant_text(0), "0");
  EXPECT_EQ(significant_text(-0.0), "0");
  EXPECT_EQ(significant_text(NAN), "nan");
  EXPECT_EQ(significant_text(-INFINITY), "−inf");
}

}  // namespace significant_text_test
}  // namespace equipoise::reproduce
