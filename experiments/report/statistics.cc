#include "experiments/report/statistics.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace equipoise::reproduce {

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double standard_error(std::span<const double> values) {
  if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  const double middle = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - middle) * (value - middle);
  const double count = static_cast<double>(values.size());
  return std::sqrt(squares / (count - 1) / count);
}

double student_probability(double t, int degrees) {
  if (degrees < 1) throw std::invalid_argument("degrees is " + std::to_string(degrees) + ", expected at least 1");
  const double angle = std::atan(t / std::sqrt(degrees));
  const double cosine_squared = std::cos(angle) * std::cos(angle);
  const bool odd = degrees % 2 == 1;
  double term = odd ? std::cos(angle) : 1.0;
  double sum = 0;
  for (int k = odd ? 1 : 0; k <= degrees - 2; k += 2) {
    sum += term;
    term *= cosine_squared * (k + 1) / (k + 2);
  }
  const double within = odd ? 2 / std::numbers::pi * (angle + std::sin(angle) * sum) : std::sin(angle) * sum;
  return (1 + within) / 2;
}

double student_quantile(double probability, int degrees) {
  if (!(probability > 0 && probability < 1)) {
    throw std::invalid_argument("probability is " + std::to_string(probability) + ", expected between 0 and 1");
  }
  double low = -1;
  double high = 1;
  while (student_probability(low, degrees) > probability) low *= 2;
  while (student_probability(high, degrees) < probability) high *= 2;
  while (high - low > 1e-12 * (1 + std::abs(low) + std::abs(high))) {
    const double middle = (low + high) / 2;
    (student_probability(middle, degrees) < probability ? low : high) = middle;
  }
  return (low + high) / 2;
}

Estimate estimate(std::span<const double> values) {
  const double middle = mean(values);
  const double error = standard_error(values);
  const double margin =
      values.size() < 2 ? error : student_quantile(0.975, static_cast<int>(values.size()) - 1) * error;
  return {middle, error, middle - margin, middle + margin};
}

PairedDifference paired_difference(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size() || a.size() < 2) {
    throw std::invalid_argument("a paired difference of " + std::to_string(a.size()) + " and " +
                                std::to_string(b.size()) + " values, expected as many of both, at least 2");
  }
  std::vector<double> difference;
  for (std::size_t i = 0; i < a.size(); ++i) difference.push_back(a[i] - b[i]);
  return {mean(a), mean(b), mean(difference), standard_error(difference)};
}

double fitted_slope(std::span<const double> x, std::span<const double> y) {
  if (x.size() != y.size()) throw std::invalid_argument("a line through as many x as y is expected");
  const double x_mean = mean(x);
  const double y_mean = mean(y);
  double covariance = 0;
  double variance = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    covariance += (x[i] - x_mean) * (y[i] - y_mean);
    variance += (x[i] - x_mean) * (x[i] - x_mean);
  }
  return covariance / variance;
}

std::string significant_text(double value) { return significant_text(value, 3); }

std::string significant_text(double value, int digits) {
  const double size = std::abs(value);
  const std::string sign = std::signbit(value) && size > 0 ? "−" : "";
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return sign + "inf";
  if (size == 0) return "0";
  std::array<char, 64> buffer{};
  char* const end = buffer.data() + buffer.size();
  std::to_chars_result result{};
  if (size < 1e-4 || size >= 1e9) {
    result = std::to_chars(buffer.data(), end, size, std::chars_format::scientific, digits - 1);
  } else {
    const int decimals = std::max(0, digits - 1 - static_cast<int>(std::floor(std::log10(size))));
    result = std::to_chars(buffer.data(), end, size, std::chars_format::fixed, decimals);
  }
  return sign + std::string(buffer.data(), result.ptr);
}

}  // namespace equipoise::reproduce
