#include "common/dataset/stratified_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <numeric>
#include <ranges>
#include <stdexcept>

#include "common/robust/group_weights.h"

namespace equipoise {
namespace stratified_order_test {

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

// Pairs of three strata, mixed up: 40, 2 and 6 of 48.
constexpr std::int64_t kPairs = 48;
const std::vector<double> kSize = {40, 2, 6};

std::uint32_t stratum_of(std::int64_t pair) { return pair % 24 == 7 ? 1 : pair % 8 == 3 ? 2 : 0; }

Strata strata_of(std::vector<double> share_K) {
  Strata strata{.stratum_N = {}, .share_K = std::move(share_K)};
  for (std::int64_t i = 0; i < kPairs; ++i) strata.stratum_N.push_back(stratum_of(i));
  return strata;
}

// Any function of a pair; its mean over the data is what batches estimate.
double value_of(std::int64_t pair) { return std::sin(static_cast<double>(pair) * 1.7) + 0.1 * stratum_of(pair); }

double mean_of_data() {
  double sum = 0;
  for (std::int64_t i = 0; i < kPairs; ++i) sum += value_of(i);
  return sum / static_cast<double>(kPairs);
}

double mean_of_stratum(std::uint32_t stratum) {
  double sum = 0;
  for (std::int64_t i = 0; i < kPairs; ++i) sum += stratum_of(i) == stratum ? value_of(i) : 0;
  return sum / kSize[stratum];
}

// 1/B sum v_i f_i of the batch drawn last.
double estimate(const StratifiedOrder& order) {
  double sum = 0;
  for (const std::int64_t pair : order.batch()) sum += order.pair_weight(pair) * value_of(pair);
  return sum / static_cast<double>(order.batch().size());
}

TEST(StratifiedOrder, DataForTheseTestsHasTheSizesItIsSaidToHave) {
  std::vector<double> size(3);
  for (std::int64_t i = 0; i < kPairs; ++i) size[stratum_of(i)] += 1;
  EXPECT_EQ(size, kSize);
}

TEST(StratifiedOrder, AStratumsPairsAllComeOnceBeforeAnyComesAgain) {
  StratifiedOrder order(strata_of({0.25, 0.25, 0.5}), {.batch_size = 5, .seed = 3});
  std::vector<std::vector<std::int64_t>> drawn(3);
  for (std::int64_t step = 0; step < 200; ++step) {
    order.draw(step);
    std::vector<std::vector<std::int64_t>> batch(3);
    for (const std::int64_t pair : order.batch()) batch[stratum_of(pair)].push_back(pair);
    for (std::size_t h = 0; h < 3; ++h) {
      // Within a batch the order is mixed: a pass may end in it, so passes are looked at in multisets of whole batches.
      drawn[h].insert(drawn[h].end(), batch[h].begin(), batch[h].end());
      std::map<std::int64_t, int> times;
      for (std::int64_t i = 0; i < kPairs; ++i) {
        if (stratum_of(i) == h) times[i] = 0;
      }
      for (const std::int64_t pair : drawn[h]) ++times[pair];
      const auto [least, most] = std::ranges::minmax(times | std::views::values);
      EXPECT_LE(most - least, 1) << "stratum " << h << " step " << step;
    }
  }
}

TEST(StratifiedOrder, IsTheSameFromAnyStep) {
  const StratifiedSettings settings{.batch_size = 7, .seed = 11};
  StratifiedOrder walking(strata_of({0.5, 0.1, 0.4}), settings);
  for (std::int64_t step = 0; step < 300; ++step) {
    walking.draw(step);
    if (step % 37 != 0) continue;
    StratifiedOrder starting_here(strata_of({0.5, 0.1, 0.4}), settings);
    starting_here.draw(step);
    EXPECT_EQ(starting_here.batch(), walking.batch()) << step;
  }
}

TEST(StratifiedOrder, PassesAndSeedsAreShuffledDifferently) {
  const auto batch = [](std::uint64_t seed, std::int64_t step) {
    StratifiedOrder order(strata_of({1. / 3, 1. / 3, 1. / 3}), {.batch_size = 120, .seed = seed});
    order.draw(step);
    return order.batch();
  };
  EXPECT_NE(batch(0, 0), batch(1, 0));
  EXPECT_NE(batch(0, 0), batch(0, 1));
}

TEST(StratifiedOrder, WithoutShuffleEveryPassIsInTheOrderOfTheData) {
  StratifiedOrder order(strata_of({0.25, 0.25, 0.5}), {.batch_size = 4, .seed = 0, .shuffle = false});
  for (std::int64_t step = 0; step < 6; ++step) {
    order.draw(step);
    ASSERT_EQ(order.batch().size(), 4u);
    EXPECT_EQ(order.batch()[1], step % 2 == 0 ? 7 : 31);
  }
}

// Over whole passes every pair is drawn equally often, so that the mean of unbiased estimates is exact, whatever the
// seed. Stratum 0 has 3 places a batch; the others a quarter and three quarters of one: absent from most batches.
TEST(StratifiedOrder, EstimatesOverWholePassesAverageToTheMeanOfTheData) {
  for (const std::uint64_t seed : {0, 1, 2}) {
    StratifiedOrder order(strata_of({0.75, 0.0625, 0.1875}), {.batch_size = 4, .seed = seed});
    double sum = 0;
    constexpr std::int64_t kSteps = 40;  // 3, 5 and 5 passes
    for (std::int64_t step = 0; step < kSteps; ++step) {
      order.draw(step);
      sum += estimate(order);
    }
    EXPECT_NEAR(sum / kSteps, mean_of_data(), 1e-12) << seed;
  }
}

// The weights of a pair add up to B / N on average: which is that the estimate is unbiased for every function.
TEST(StratifiedOrder, EveryPairCountsAlikeInExpectationOverTheSeed) {
  constexpr int kSeeds = 20000;
  std::vector<double> sum(kPairs), square(kPairs);
  // 3.5, 0.7 and 2.8 places.
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    StratifiedOrder order(strata_of({0.5, 0.1, 0.4}), {.batch_size = 7, .seed = seed});
    order.draw(9);
    std::vector<double> weight(kPairs);
    for (const std::int64_t pair : order.batch()) weight[static_cast<std::size_t>(pair)] += order.pair_weight(pair);
    for (std::size_t i = 0; i < weight.size(); ++i) {
      sum[i] += weight[i];
      square[i] += weight[i] * weight[i];
    }
  }
  const double expected = 7.0 / static_cast<double>(kPairs);
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const double mean = sum[i] / kSeeds, variance = square[i] / kSeeds - mean * mean;
    EXPECT_NEAR(mean, expected, 5 * std::sqrt(variance / kSeeds)) << "pair " << i;
  }
}

TEST(StratifiedOrder, WeightsOfABatchWithAllStrataAddUpToItsSize) {
  StratifiedOrder order(strata_of({0.3, 0.3, 0.4}), {.batch_size = 11, .seed = 2});
  for (std::int64_t step = 0; step < 50; ++step) {
    order.draw(step);
    double sum = 0;
    for (const std::int64_t pair : order.batch()) sum += order.pair_weight(pair);
    EXPECT_NEAR(sum, 11, 1e-12);
  }
}

// The estimators that the group weights know, from weighted sums: of the strata themselves, and of a group that
// consists of two of them.
TEST(StratifiedOrder, GroupLossesOverWholePassesAverageToThoseOfTheData) {
  StratifiedOrder order(strata_of({0.5, 0.25, 0.25}), {.batch_size = 8, .seed = 4});
  constexpr std::int64_t kSteps = 30;  // 3, 30 and 10 passes
  const std::vector<double> size_K = {40, 2, 6, 8};
  std::map<Estimator, std::vector<double>> sum_K;
  for (std::int64_t step = 0; step < kSteps; ++step) {
    order.draw(step);
    GroupSums sums{.group = {0, 1, 2, 3},
                   .loss_sum = std::vector<double>(4),
                   .pair_count = std::vector<double>(4),
                   .batch_pairs = 8};
    for (const std::int64_t pair : order.batch()) {
      const std::uint32_t stratum = stratum_of(pair);
      for (const std::uint32_t group : {stratum, 3u}) {
        if (group == 3 && stratum == 0) continue;
        sums.loss_sum[group] += order.pair_weight(pair) * value_of(pair);
        sums.pair_count[group] += order.pair_weight(pair);
      }
    }
    for (const Estimator estimator :
         {Estimator::kBatchMean, Estimator::kDatasetScaled, Estimator::kBatchSum, Estimator::kUnbiased}) {
      const auto loss = estimate_group_loss(sums, estimator, size_K, kPairs);
      sum_K[estimator].resize(4);
      for (std::size_t g = 0; g < 4; ++g) sum_K[estimator][g] += loss[g] / kSteps;
    }
  }
  for (std::uint32_t g = 0; g < 4; ++g) {
    const double loss = g < 3 ? mean_of_stratum(g) : (2 * mean_of_stratum(1) + 6 * mean_of_stratum(2)) / 8;
    EXPECT_NEAR(sum_K[Estimator::kBatchMean][g], loss, 1e-12) << g;
    EXPECT_NEAR(sum_K[Estimator::kDatasetScaled][g], loss, 1e-12) << g;
    EXPECT_NEAR(sum_K[Estimator::kUnbiased][g], loss, 1e-12) << g;
    EXPECT_NEAR(sum_K[Estimator::kBatchSum][g], loss * size_K[g] / kPairs, 1e-12) << g;
  }
}

}  // namespace stratified_order_test
}  // namespace equipoise
