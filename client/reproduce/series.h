// A quantity over training: its mean over seeds and how sure that is, as reports draw it.
#pragma once

#include <string>
#include <vector>

#include "client/plot/line_chart.h"
#include "client/reproduce/statistics.h"

namespace equipoise::reproduce {

// Both of the same length.
struct Series {
  std::vector<double> iteration;
  std::vector<Estimate> over_seeds;
};

// The means, with the 95 % confidence interval as band.
plot::Curve curve_of(std::string label, plot::Ink ink, plot::Stroke stroke, const Series& series);

}  // namespace equipoise::reproduce
