// Unrelated streams of random numbers from one seed: what one consumer draws does not move what another gets.
#pragma once

#include <cstdint>

#include "common/base/split_mix64.h"

namespace equipoise::log_linear {

enum class Stream : std::uint64_t { kPairs = 1, kTheta = 2, kSampling = 3 };

// `position` numbers unrelated streams of one name further, for example by step.
inline SplitMix64 random_stream(std::uint64_t seed, Stream name, std::uint64_t position = 0) {
  const std::uint64_t named = SplitMix64(seed).next() ^ static_cast<std::uint64_t>(name);
  return SplitMix64(SplitMix64(named).next() ^ position);
}

}  // namespace equipoise::log_linear
