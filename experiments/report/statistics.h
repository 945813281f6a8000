// The statistics of the reports: means over seeds and how sure they are, and numbers as the tables show them.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace equipoise::reproduce {

double mean(std::span<const double> values);
// s / sqrt(n), s^2 = sum (x - mean)^2 / (n - 1); NaN for fewer than two values.
double standard_error(std::span<const double> values);

// P(T <= t) of Student's t with `degrees` >= 1 degrees of freedom.
// Source: Abramowitz and Stegun 26.7.3 and 26.7.4, exact finite sums.
double student_probability(double t, int degrees);
// The t with P(T <= t) = probability, in (0, 1), by bisection to 1e-12.
double student_quantile(double probability, int degrees);

struct Estimate {
  double mean = 0;
  double standard_error = 0;
  double low = 0;  // of the 95 % confidence interval, mean -+ t(0.975, n - 1) * standard_error
  double high = 0;
};

Estimate estimate(std::span<const double> values);

// d_i = a_i - b_i, both of the same seed.
struct PairedDifference {
  double mean_a = 0;
  double mean_b = 0;
  double mean = 0;
  double standard_error = 0;
};

// Throws std::invalid_argument unless both have the same number, at least two, of values.
PairedDifference paired_difference(std::span<const double> a, std::span<const double> b);

// Of the least-squares line through (x, y). NaN for fewer than two different x.
double fitted_slope(std::span<const double> x, std::span<const double> y);

// A quantity over training: its mean over seeds and how sure that is.

// Both of the same length.
struct Series {
  std::vector<double> iteration;
  std::vector<Estimate> over_seeds;
};

// Numbers as a report's tables show them.

// Rounded to three significant digits, with trailing zeros: "0.480", "17.6", "−0.00123", "1.23e-05" below 1e-4,
// "123000". What is not finite as "nan", "inf", "−inf".
std::string significant_text(double value);
// The same with `digits` significant digits, 1 to 15.
std::string significant_text(double value, int digits);

}  // namespace equipoise::reproduce
