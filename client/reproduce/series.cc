#include "client/reproduce/series.h"

#include <utility>

namespace equipoise::reproduce {

plot::Curve curve_of(std::string label, plot::Ink ink, plot::Stroke stroke, const Series& series) {
  plot::Curve curve{.label = std::move(label), .ink = ink, .stroke = stroke, .x = series.iteration};
  for (const Estimate& over_seeds : series.over_seeds) {
    curve.y.push_back(over_seeds.mean);
    curve.low.push_back(over_seeds.low);
    curve.high.push_back(over_seeds.high);
  }
  return curve;
}

}  // namespace equipoise::reproduce
