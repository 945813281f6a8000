// From values to pixels of one axis, and the round numbers that are written beside it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace equipoise::plot {

enum class ScaleKind { kLinear, kLog10 };

struct Interval {
  double low = 0;
  double high = 1;
};

// The smallest interval that holds all finite values (of a log axis: all finite positive ones), widened by `padding` of
// its length at either end. An interval of one point is widened to something that can be drawn; without any value it is
// [0, 1], of a log axis [1, 10].
Interval interval_of(std::span<const double> values, ScaleKind kind, double padding);

class Scale {
 public:
  // `pixels.low` is where `values.low` is drawn; it may be the larger number, as for a vertical axis.
  // Throws std::invalid_argument unless values.low < values.high, both finite, and positive on a log axis.
  Scale(ScaleKind kind, Interval values, Interval pixels);

  // Values outside the interval are drawn at its nearest end; NaN stays NaN.
  double pixel(double value) const;
  Interval values() const { return values_; }
  Interval pixels() const { return pixels_; }
  ScaleKind kind() const { return kind_; }

 private:
  double position(double value) const;

  ScaleKind kind_;
  Interval values_;
  Interval pixels_;
};

struct Tick {
  double value;
  std::string label;
};

// Ascending, inside the interval, about `wanted` of them, at most twice as many.
//   linear  multiples of 1, 2 or 5 times a power of ten, all with the same number of decimals
//   log     powers of ten, with 2 and 5 times them where the interval is short; linear ticks where even those are few
std::vector<Tick> axis_ticks(ScaleKind kind, Interval values, std::size_t wanted);

// A number as people write it on an axis: "0.25", "20", "5k" (thousands from 1000 on), "10⁻⁵".
std::string tick_label(double value, int decimals);

}  // namespace equipoise::plot
