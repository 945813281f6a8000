#include "common/dataset/stratified_order.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/dataset/seeded_shuffle.h"

namespace equipoise {
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
