#include "common/dataset/batch_apportionment.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace equipoise {
namespace batch_apportionment_test {

using Places = std::vector<std::int64_t>;

// Whole, fractional and tiny numbers of places: 16, 12.8, 2.9, 0.25 and 0.05 of 32.
const std::vector<double> kShares = {0.5, 0.4, 0.090625, 0.0078125, 0.0015625};
constexpr std::int64_t kBatch = 32;

Places places_of(const BatchApportionment& apportionment, std::int64_t step, std::size_t strata = kShares.size()) {
  Places places(strata);
  apportionment.write_places(step, places);
  return places;
}

Places places_before(const BatchApportionment& apportionment, std::int64_t step, std::size_t strata = kShares.size()) {
  Places places(strata);
  apportionment.write_places_before(step, places);
  return places;
}

TEST(BatchApportionment, EveryBatchIsFullAndEveryStratumHasItsShareRoundedDownOrUp) {
  const BatchApportionment apportionment(kShares, kBatch, 5);
  for (std::int64_t step = 0; step < 3000; ++step) {
    const Places places = places_of(apportionment, step);
    EXPECT_EQ(std::accumulate(places.begin(), places.end(), std::int64_t{0}), kBatch);
    for (std::size_t h = 0; h < kShares.size(); ++h) {
      EXPECT_GE(places[h], std::floor(kBatch * kShares[h] - 1e-9)) << step;
      EXPECT_LE(places[h], std::ceil(kBatch * kShares[h] + 1e-9)) << step;
    }
  }
}

TEST(BatchApportionment, PlacesBeforeAStepAreThoseOfTheStepsBeforeIt) {
  const BatchApportionment apportionment(kShares, kBatch, 6);
  Places sum(kShares.size());
  for (std::int64_t step = 0; step < 3000; ++step) {
    EXPECT_EQ(places_before(apportionment, step), sum) << step;
    const Places places = places_of(apportionment, step);
    for (std::size_t h = 0; h < sum.size(); ++h) sum[h] += places[h];
  }
}

// Of a run that goes on anywhere: also past 2^32, where the starts come again.
TEST(BatchApportionment, PlacesBeforeGrowByThePlacesOfAStepHoweverFar) {
  const BatchApportionment apportionment(kShares, kBatch, 7);
  for (const std::int64_t step : {(std::int64_t{1} << 32) - 1, std::int64_t{1} << 32, std::int64_t{999'999'999'999}}) {
    Places before = places_before(apportionment, step);
    const Places places = places_of(apportionment, step);
    for (std::size_t h = 0; h < before.size(); ++h) before[h] += places[h];
    EXPECT_EQ(places_before(apportionment, step + 1), before) << step;
  }
}

TEST(BatchApportionment, SharesAreKeptToLessThanOnePlaceForEachBinaryDigitOfTheStep) {
  for (const std::uint64_t seed : {0, 1, 2, 3}) {
    const BatchApportionment apportionment(kShares, kBatch, seed);
    for (std::int64_t step = 1; step < 5000; ++step) {
      const Places places = places_before(apportionment, step);
      for (std::size_t h = 0; h < kShares.size(); ++h) {
        const double exact = static_cast<double>(step) * kBatch * kShares[h];
        EXPECT_LT(std::abs(static_cast<double>(places[h]) - exact), std::popcount(static_cast<std::uint64_t>(step)));
      }
    }
  }
}

TEST(BatchApportionment, EveryBatchHasTheSharesInExpectationOverTheSeed) {
  constexpr int kSeeds = 20000;
  for (const std::int64_t step : {0, 1, 77}) {
    std::vector<double> sum(kShares.size());
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      const Places places = places_of(BatchApportionment(kShares, kBatch, seed), step);
      for (std::size_t h = 0; h < sum.size(); ++h) sum[h] += static_cast<double>(places[h]);
    }
    for (std::size_t h = 0; h < sum.size(); ++h) {
      const double expected = kBatch * kShares[h], fraction = expected - std::floor(expected);
      const double standard_error = std::sqrt(fraction * (1 - fraction) / kSeeds);
      EXPECT_NEAR(sum[h] / kSeeds, expected, 5 * standard_error + 1e-9) << step;
    }
  }
}

TEST(BatchApportionment, SharesNeedNotBeNormalised) {
  const BatchApportionment apportionment(std::vector<double>{1, 1, 2}, 8, 0);
  EXPECT_EQ(places_of(apportionment, 4, 3), (Places{2, 2, 4}));
  EXPECT_EQ(apportionment.expected_places(2), 4);
}

TEST(BatchApportionment, OneStratumHasAllPlaces) {
  const BatchApportionment apportionment(std::vector<double>{0.3}, (std::int64_t{1} << 31) - 1, 1);
  EXPECT_EQ(places_of(apportionment, 9, 1), Places{(std::int64_t{1} << 31) - 1});
}

TEST(BatchApportionment, RefusesAShareThatIsNeverDrawn) {
  EXPECT_THROW(BatchApportionment(std::vector<double>{1, 1e-12}, 4, 0), std::invalid_argument);
}

}  // namespace batch_apportionment_test
}  // namespace equipoise
