// Fisher-Yates of our own, so that every standard library gives the same order.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "common/base/split_mix64.h"

namespace equipoise {

template <class Value>
void seeded_shuffle(std::vector<Value>& values, SplitMix64 random) {
  for (std::size_t end = values.size(); end > 1; --end) std::swap(values[end - 1], values[random.below(end)]);
}

}  // namespace equipoise
