#include "common/dataset/stratified_order.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "common/base/error.h"
#include "common/base/message_text.h"
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

namespace {

// Unrelated streams of random numbers from one seed.
enum class Stream : std::uint64_t { kStarts = 1, kPasses = 2, kBatches = 3 };

SplitMix64 stream(std::uint64_t seed, Stream name, std::uint64_t first = 0, std::uint64_t second = 0) {
  const std::uint64_t named = SplitMix64(SplitMix64(seed).next() ^ static_cast<std::uint64_t>(name)).next();
  return SplitMix64(SplitMix64(named ^ first).next() ^ second);
}

// q_h of the groups that are strata.
std::vector<double> shares_of_strata(const Strata& strata) {
  std::vector<double> share_H;
  std::ranges::copy_if(strata.share_K, std::back_inserter(share_H), [](double share) { return share > 0; });
  return share_H;
}

}  // namespace

StratifiedOrder::StratifiedOrder(const Strata& strata, StratifiedSettings settings)
    : settings_(settings),
      stratum_N_(strata.stratum_N),
      apportionment_(shares_of_strata(strata), settings.batch_size, stream(settings.seed, Stream::kStarts).next()),
      weight_K_(strata.share_K.size()) {
  std::vector<std::size_t> place_K(strata.share_K.size());
  for (std::size_t g = 0; g < strata.share_K.size(); ++g) {
    if (!(strata.share_K[g] > 0)) continue;
    place_K[g] = strata_H_.size();
    strata_H_.emplace_back().group = static_cast<std::uint32_t>(g);
  }
  for (std::size_t i = 0; i < stratum_N_.size(); ++i) {
    EQUIPOISE_CHECK(strata.share_K.at(stratum_N_[i]) > 0);
    strata_H_[place_K[stratum_N_[i]]].pairs.push_back(static_cast<std::int64_t>(i));
  }
  for (const Stratum& stratum : strata_H_) EQUIPOISE_CHECK(!stratum.pairs.empty());
  places_before_H_.resize(strata_H_.size());
  places_H_.resize(strata_H_.size());
}

void StratifiedOrder::draw(std::int64_t step) {
  apportionment_.write_places_before(step, places_before_H_);
  apportionment_.write_places(step, places_H_);
  batch_.clear();
  for (std::size_t h = 0; h < strata_H_.size(); ++h) {
    draw_from(strata_H_[h], places_before_H_[h], places_H_[h]);
    weight_K_[strata_H_[h].group] = weight(h);
  }
  if (settings_.shuffle) {
    seeded_shuffle(batch_, stream(settings_.seed, Stream::kBatches, static_cast<std::uint64_t>(step)));
  }
}

void StratifiedOrder::draw_from(Stratum& stratum, std::int64_t first, std::int64_t places) {
  const auto size = static_cast<std::int64_t>(stratum.pairs.size());
  for (std::int64_t place = first; place < first + places; ++place) {
    if (place / size != stratum.pass) {
      stratum.pass = place / size;
      stratum.order = stratum.pairs;
      if (settings_.shuffle) {
        seeded_shuffle(stratum.order, stream(settings_.seed, Stream::kPasses, stratum.group,
                                             static_cast<std::uint64_t>(stratum.pass)));
      }
    }
    batch_.push_back(stratum.order[static_cast<std::size_t>(place % size)]);
  }
}

double StratifiedOrder::weight(std::size_t h) const {
  if (places_H_[h] == 0) return 0;
  const double expected = apportionment_.expected_places(h);
  const double places = expected < 1 ? expected : static_cast<double>(places_H_[h]);
  const double population_share =
      static_cast<double>(strata_H_[h].pairs.size()) / static_cast<double>(stratum_N_.size());
  return population_share * static_cast<double>(settings_.batch_size) / places;
}

}  // namespace equipoise
