#include "common/dataset/batch_apportionment.h"

#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "common/base/number_text.h"
#include "common/base/split_mix64.h"

namespace equipoise {
namespace {

constexpr int kDigits = 32;
constexpr std::uint64_t kOne = std::uint64_t{1} << kDigits;

std::uint32_t reversed(std::uint32_t digits) {
  std::uint32_t result = 0;
  for (int i = 0; i < kDigits; ++i) result = result << 1 | (digits >> i & 1);
  return result;
}

}  // namespace

BatchApportionment::BatchApportionment(std::span<const double> share_H, std::int64_t batch_size, std::uint64_t seed)
    : flip_(static_cast<std::uint32_t>(SplitMix64(seed).next())) {
  const double whole = std::accumulate(share_H.begin(), share_H.end(), 0.0);
  double sum = 0;
  for (const double share : share_H) {
    sum += share;
    const double end = std::ldexp(static_cast<double>(batch_size) * sum, kDigits) / whole;
    const std::uint64_t before = end_H_.empty() ? 0 : end_H_.back();
    end_H_.push_back(static_cast<std::uint64_t>(std::llround(end)));
    if (end_H_.back() > before) continue;
    throw std::invalid_argument("a share of the batches is " + number_text(share / whole) +
                                ", expected at least one pair in 2^32 batches");
  }
}

std::uint64_t BatchApportionment::start(std::int64_t step) const {
  return reversed(static_cast<std::uint32_t>(step)) ^ flip_;
}

void BatchApportionment::write_places(std::int64_t step, std::span<std::int64_t> places_H) const {
  const std::uint64_t first = start(step);
  std::int64_t before = 0;
  for (std::size_t h = 0; h < end_H_.size(); ++h) {
    // Points first, first + kOne, ... below the end of h's piece.
    const auto points = static_cast<std::int64_t>((end_H_[h] - first + kOne - 1) / kOne);
    places_H[h] = points - before;
    before = points;
  }
}

void BatchApportionment::write_places_before(std::int64_t step, std::span<std::int64_t> places_H) const {
  std::int64_t before = 0;
  for (std::size_t h = 0; h < end_H_.size(); ++h) {
    const std::int64_t points =
        step * static_cast<std::int64_t>(end_H_[h] / kOne) + starts_below(step, end_H_[h] % kOne);
    places_H[h] = points - before;
    before = points;
  }
}

// The steps below `step` are one run of 2^j consecutive ones for each binary digit j of it. In such a run the first j
// digits of u take every value, and the others are fixed.
std::int64_t BatchApportionment::starts_below(std::int64_t step, std::uint64_t bound) const {
  const auto cycles = static_cast<std::uint64_t>(step) / kOne;
  const auto rest = static_cast<std::uint64_t>(step) % kOne;
  std::uint64_t count = cycles * bound;
  for (int j = 0; j < kDigits; ++j) {
    if ((rest >> j & 1) == 0) continue;
    const std::uint64_t fixed_digits = (kOne >> j) - 1;
    const std::uint64_t run = rest >> (j + 1) << (j + 1);
    const std::uint64_t fixed = start(static_cast<std::int64_t>(run)) & fixed_digits;
    count += bound >> (kDigits - j);
    if (fixed < (bound & fixed_digits)) ++count;
  }
  return static_cast<std::int64_t>(count);
}

double BatchApportionment::expected_places(std::size_t stratum) const {
  const std::uint64_t begin = stratum == 0 ? 0 : end_H_[stratum - 1];
  return std::ldexp(static_cast<double>(end_H_[stratum] - begin), -kDigits);
}

}  // namespace equipoise
