#include "client/plot/scale.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "common/base/number_text.h"

namespace equipoise::plot {
namespace {

constexpr std::array<double, 3> kMantissas{1, 2, 5};

std::string fixed_text(double value, int decimals) {
  std::array<char, 64> buffer{};
  const auto result =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, decimals);
  return result.ec == std::errc() ? std::string(buffer.data(), result.ptr) : number_text(value);
}

std::string superscript(int number) {
  static constexpr std::array<const char*, 10> kDigits{"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text;
  for (const char digit : std::to_string(number)) {
    text += digit == '-' ? "⁻" : kDigits[static_cast<std::size_t>(digit - '0')];
  }
  return text;
}

int decimals_of(double step) { return std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9))); }

double linear_step(Interval values, std::size_t wanted) {
  const double rough = (values.high - values.low) / static_cast<double>(std::max<std::size_t>(wanted, 1));
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double mantissa : kMantissas) {
    if (mantissa * power >= rough * 0.8) return mantissa * power;
  }
  return 10 * power;
}

std::vector<Tick> linear_ticks(Interval values, std::size_t wanted) {
  const double step = linear_step(values, wanted);
  std::vector<Tick> ticks;
  const double last = std::floor(values.high / step + 1e-9);
  for (double index = std::ceil(values.low / step - 1e-9); index <= last; ++index) {
    ticks.push_back({index * step, tick_label(index * step, decimals_of(step))});
  }
  // One tick says nothing about the scale.
  return ticks.size() < 2 ? linear_ticks(values, 2 * std::max<std::size_t>(wanted, 1)) : ticks;
}

std::vector<Tick> mantissa_ticks(Interval values, std::span<const double> mantissas, int every) {
  std::vector<Tick> ticks;
  const int first = static_cast<int>(std::floor(std::log10(values.low)));
  const int last = static_cast<int>(std::ceil(std::log10(values.high)));
  for (int exponent = first; exponent <= last; ++exponent) {
    if (exponent % every != 0) continue;
    for (const double mantissa : mantissas) {
      const double value = mantissa * std::pow(10.0, exponent);
      if (value < values.low * (1 - 1e-9) || value > values.high * (1 + 1e-9)) continue;
      ticks.push_back({value, tick_label(value, std::max(0, -exponent))});
    }
  }
  return ticks;
}

std::vector<Tick> log_ticks(Interval values, std::size_t wanted) {
  const double decades = std::log10(values.high / values.low);
  const int every = std::max(1, static_cast<int>(std::ceil(decades / static_cast<double>(2 * wanted))));
  std::vector<Tick> ticks = mantissa_ticks(values, std::span(kMantissas).first(1), every);
  if (ticks.size() >= 3) return ticks;
  ticks = mantissa_ticks(values, kMantissas, 1);
  return ticks.size() >= 3 ? ticks : linear_ticks(values, wanted);
}

}  // namespace

Interval interval_of(std::span<const double> values, ScaleKind kind, double padding) {
  const bool log = kind == ScaleKind::kLog10;
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const double value : values) {
    if (!std::isfinite(value) || (log && value <= 0)) continue;
    low = std::min(low, log ? std::log10(value) : value);
    high = std::max(high, log ? std::log10(value) : value);
  }
  if (low > high) return log ? Interval{1, 10} : Interval{0, 1};
  const double length = high - low;
  // One value alone: half a decade, or half of itself, to either side.
  const double margin = length > 1e-12 * std::abs(high) && length > 0 ? length * padding
                        : log                                         ? 0.5
                        : high != 0                                   ? std::abs(high) / 2
                                                                      : 0.5;
  if (!log) return {low - margin, high + margin};
  return {std::pow(10.0, low - margin), std::pow(10.0, high + margin)};
}

Scale::Scale(ScaleKind kind, Interval values, Interval pixels) : kind_(kind), values_(values), pixels_(pixels) {
  const bool drawable = std::isfinite(values.low) && std::isfinite(values.high) && values.low < values.high &&
                        (kind == ScaleKind::kLinear || values.low > 0);
  if (!drawable) {
    throw std::invalid_argument("an axis from " + number_text(values.low) + " to " + number_text(values.high) +
                                " cannot be drawn, expected ascending finite ends, above 0 on a log axis");
  }
}

double Scale::position(double value) const {
  if (kind_ == ScaleKind::kLinear) return (value - values_.low) / (values_.high - values_.low);
  if (value <= values_.low) return 0;
  return std::log(value / values_.low) / std::log(values_.high / values_.low);
}

double Scale::pixel(double value) const {
  if (std::isnan(value)) return value;
  return pixels_.low + std::clamp(position(value), 0.0, 1.0) * (pixels_.high - pixels_.low);
}

std::vector<Tick> axis_ticks(ScaleKind kind, Interval values, std::size_t wanted) {
  return kind == ScaleKind::kLinear ? linear_ticks(values, wanted) : log_ticks(values, wanted);
}

std::string tick_label(double value, int decimals) {
  const double size = std::abs(value);
  if (value == 0) return "0";
  if (size < 1e-3 || size >= 1e6) {
    const int exponent = static_cast<int>(std::floor(std::log10(size) + 1e-9));
    const double mantissa = value / std::pow(10.0, exponent);
    const std::string power = std::string("10").append(superscript(exponent));
    return std::abs(mantissa - 1) < 1e-6 ? power : fixed_text(mantissa, decimals + exponent > 0 ? 1 : 0) + "·" + power;
  }
  const std::string sign = value < 0 ? "−" : "";
  if (size >= 1000) {
    const double thousands = size / 1000;
    return sign + fixed_text(thousands, std::abs(thousands - std::round(thousands)) < 1e-6 ? 0 : 1) + "k";
  }
  return sign + fixed_text(size, decimals);
}

}  // namespace equipoise::plot
