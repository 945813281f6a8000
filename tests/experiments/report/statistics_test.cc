#include "experiments/report/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <stdexcept>
#include <vector>

namespace equipoise::reproduce {
namespace statistics_test {

TEST(Statistics, StandardErrorIsTheSampleDeviationOverTheRootOfTheCount) {
  const std::vector<double> values{2, 4, 4, 6};  // squares around 4: 4 + 0 + 0 + 4
  EXPECT_DOUBLE_EQ(mean(values), 4);
  EXPECT_DOUBLE_EQ(standard_error(values), std::sqrt(8.0 / 3 / 4));
  EXPECT_TRUE(std::isnan(standard_error(std::vector<double>{1})));
}

// One degree of freedom is Cauchy's distribution, two have a closed form.
TEST(Statistics, StudentProbabilityHasItsClosedFormsForOneAndTwoDegrees) {
  for (const double t : {-12.7, -1.0, 0.0, 0.3, 4.3}) {
    EXPECT_NEAR(student_probability(t, 1), 0.5 + std::atan(t) / std::numbers::pi, 1e-14);
    EXPECT_NEAR(student_probability(t, 2), 0.5 + t / (2 * std::sqrt(2 + t * t)), 1e-14);
  }
}

// The integral of the density by Simpson's rule.
TEST(Statistics, StudentProbabilityIsTheIntegralOfItsDensity) {
  for (const int degrees : {3, 4, 19, 50}) {
    const double half = degrees / 2.0;
    const double scale = std::exp(std::lgamma(half + 0.5) - std::lgamma(half)) / std::sqrt(degrees * std::numbers::pi);
    const auto density = [&](double t) { return scale * std::pow(1 + t * t / degrees, -half - 0.5); };
    const double t = 1.7;
    const int steps = 1000;
    double sum = density(0) + density(t);
    for (int i = 1; i < steps; ++i) sum += (i % 2 == 1 ? 4 : 2) * density(t * i / steps);
    EXPECT_NEAR(student_probability(t, degrees), 0.5 + sum * t / steps / 3, 1e-10) << degrees;
  }
}

TEST(Statistics, StudentQuantileInvertsTheProbability) {
  for (const int degrees : {1, 2, 5, 19, 200}) {
    for (const double probability : {0.01, 0.5, 0.975}) {
      EXPECT_NEAR(student_probability(student_quantile(probability, degrees), degrees), probability, 1e-11);
    }
  }
  EXPECT_NEAR(student_quantile(0.975, 19), 2.0930, 5e-5);  // every table of t
  EXPECT_THROW(student_quantile(1, 3), std::invalid_argument);
}

TEST(Statistics, ConfidenceIntervalIsSymmetricAroundTheMean) {
  const std::vector<double> values{1, 2, 3};
  const Estimate over = estimate(values);
  EXPECT_DOUBLE_EQ(over.mean, 2);
  EXPECT_NEAR(over.high - over.mean, 4.302653 * std::sqrt(1.0 / 3), 1e-5);  // t(0.975, 2)
  EXPECT_DOUBLE_EQ(over.high - over.mean, over.mean - over.low);
}

TEST(Statistics, PairedDifferenceForgetsWhatSeedsShare) {
  const std::vector<double> a{100.9, 200.8, 300.7};
  const std::vector<double> b{101, 201, 301};
  const PairedDifference difference = paired_difference(a, b);
  EXPECT_NEAR(difference.mean, -0.2, 1e-12);
  EXPECT_NEAR(difference.standard_error, 0.1 / std::sqrt(3), 1e-12);
  EXPECT_THROW(paired_difference(a, std::vector<double>{1, 2}), std::invalid_argument);
}

TEST(Statistics, FittedSlopeIsThatOfTheLine) {
  EXPECT_NEAR(fitted_slope(std::vector<double>{0, 1, 5}, std::vector<double>{3, 2.5, 0.5}), -0.5, 1e-14);
  EXPECT_TRUE(std::isnan(fitted_slope(std::vector<double>{1, 1}, std::vector<double>{0, 1})));
}

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

}  // namespace statistics_test
}  // namespace equipoise::reproduce
