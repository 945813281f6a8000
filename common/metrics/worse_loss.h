// Which of two groups is worse off.
#pragma once

#include <cmath>

namespace equipoise {

// True if `loss` is worse than `other`: higher, or not a number any more while `other` still is one.
inline bool worse_loss(double loss, double other) {
  return std::isnan(loss) ? !std::isnan(other) : loss > other;
}

}  // namespace equipoise
