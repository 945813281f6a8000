// Random numbers that every machine and standard library makes alike: a stream of them, and the mixing of one number.
// Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators" (SplitMix64).
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace equipoise {

// A 64-bit number turned into one whose every bit depends on all of its bits; one to one.
// Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators" (the finalizer of SplitMix64).
constexpr std::uint64_t mixed_bits(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

// Of a number at a place: numbers in a row give numbers without order.
constexpr std::uint64_t mixed_bits(std::uint64_t start, std::uint64_t place) {
  return mixed_bits(start + (place + 1) * 0x9E3779B97F4A7C15ULL);
}

// Not thread-safe. Not for secrets.
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}

  // Uniform over all 64-bit numbers.
  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound), without bias; bound > 0. Numbers below 2^64 mod bound are drawn again.
  std::uint64_t below(std::uint64_t bound) {
    const std::uint64_t reject = (0 - bound) % bound;
    std::uint64_t number = next();
    while (number < reject) number = next();
    return number % bound;
  }

  // Uniform in [0, 1), a multiple of 2^-53.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

  // Fisher-Yates: each order is equally likely.
  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  std::uint64_t state_;
};

}  // namespace equipoise
