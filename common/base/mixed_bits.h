// A 64-bit number turned into one whose every bit depends on all of its bits; one to one.
// Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators" (the finalizer of SplitMix64).
#pragma once

#include <cstdint>

namespace equipoise {

constexpr std::uint64_t mixed_bits(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

// Of a number at a place: numbers in a row give numbers without order.
constexpr std::uint64_t mixed_bits(std::uint64_t start, std::uint64_t place) {
  return mixed_bits(start + (place + 1) * 0x9E3779B97F4A7C15ULL);
}

}  // namespace equipoise
