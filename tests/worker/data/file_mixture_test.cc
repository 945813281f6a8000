#include "worker/data/file_mixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "common/dataset/shard_plan.h"
#include "common/robust/group_weights.h"

namespace equipoise {
namespace file_mixture_test {

using testing::DoubleNear;
using testing::ElementsAre;

// Files of 12, 3 and 5 pairs with the shares 1/2, 3/8 and 1/8. Every third pair of the data is in group 1.
const std::vector<std::int64_t> kSizes = {12, 3, 5};
const std::vector<double> kWeights = {4, 3, 1};
constexpr std::int64_t kPairs = 20;

FileMixture mixture() { return {kSizes, kWeights}; }
std::size_t file_of(std::int64_t pair) { return pair < 12 ? 0 : pair < 15 ? 1 : 2; }
std::uint32_t group_of(std::int64_t pair) { return pair % 3 == 0 ? 1 : 0; }
double loss_of(std::int64_t pair) { return 1 + std::sin(static_cast<double>(pair) * 1.7); }

ShardCursor cursor(std::int64_t batch_size, std::uint64_t seed, int world_size = 1) {
  return ShardCursor({.seed = seed,
                      .num_pairs = kPairs,
                      .global_batch_size = batch_size,
                      .world_size = world_size,
                      .mixed = true,
                      .end_step = 1 << 20},
                     mixture().strata());
}

// E_P[f] by its definition.
template <class Function>
double mixture_mean(const Function& function) {
  double mean = 0;
  for (std::int64_t pair = 0; pair < kPairs; ++pair) {
    const std::size_t file = file_of(pair);
    mean += kWeights[file] / 8 / static_cast<double>(kSizes[file]) * function(pair);
  }
  return mean;
}

TEST(FileMixture, SharesAreThePartsOfTheWeights) {
  EXPECT_THAT(mixture().share_F(), ElementsAre(0.5, 0.375, 0.125));
  EXPECT_THAT(FileMixture({1, 1}, std::vector<double>{1e308, 1e308}).share_F(), ElementsAre(0.5, 0.5));
}

TEST(FileMixture, EveryBatchHasEachFilesShareRoundedDownOrUp) {
  ShardCursor batches = cursor(10, 3);
  std::vector<std::int64_t> total(3);
  for (std::int64_t step = 0; step < 64; ++step) {
    std::vector<std::int64_t> places(3);
    for (const std::int64_t pair : batches.global_batch(step)) ++places[file_of(pair)];
    for (std::size_t f = 0; f < 3; ++f) {
      EXPECT_LT(std::abs(static_cast<double>(places[f]) - 10 * mixture().share_F()[f]), 1) << step;
      total[f] += places[f];
    }
  }
  EXPECT_THAT(total, ElementsAre(320, 240, 80)) << "after 2^6 batches of 10 the shares are exact";
}

TEST(FileMixture, PairsOfAFileAllComeOnceBeforeAnyComesAgain) {
  ShardCursor batches = cursor(8, 5);
  std::vector<int> times(kPairs);
  for (std::int64_t step = 0; step < 50; ++step) {
    for (const std::int64_t pair : batches.global_batch(step)) ++times[static_cast<std::size_t>(pair)];
    for (const auto& [first, last] : {std::pair(0, 12), std::pair(12, 15), std::pair(15, 20)}) {
      const auto [least, most] = std::minmax_element(times.begin() + first, times.begin() + last);
      EXPECT_LE(*most - *least, 1) << step;
    }
  }
}

// 4, 3 and 1 places of 8: over 15 steps 5, 15 and 3 passes. No pair weighs anything but 1.
TEST(FileMixture, MeansOverWholePassesAreThoseOfTheMixtureAndNotOfTheData) {
  double data_mean = 0;
  for (std::int64_t pair = 0; pair < kPairs; ++pair) data_mean += loss_of(pair) / static_cast<double>(kPairs);
  for (const std::uint64_t seed : {0, 1, 2}) {
    ShardCursor batches = cursor(8, seed);
    double mean = 0;
    for (std::int64_t step = 0; step < 15; ++step) {
      for (const std::int64_t pair : batches.global_batch(step)) {
        mean += batches.pair_weight(step, pair) * loss_of(pair) / (15 * 8);
      }
    }
    EXPECT_NEAR(mean, mixture_mean(loss_of), 1e-12);
    EXPECT_GT(std::abs(mean - data_mean), 0.01);
  }
}

TEST(FileMixture, GroupSizesAreThoseOfPairsDrawnFromTheMixture) {
  const std::vector<std::vector<double>> count_FK = {{8, 4}, {2, 1}, {3, 2}};
  const auto size_K = mixture().group_sizes(count_FK);
  const double share = mixture_mean([](std::int64_t pair) { return group_of(pair) == 1 ? 1.0 : 0.0; });
  EXPECT_THAT(size_K, ElementsAre(DoubleNear(20 * (1 - share), 1e-12), DoubleNear(20 * share, 1e-12)));
}

TEST(FileMixture, AFileThatKnowsFewerGroupsHasNoneOfTheLaterOnes) {
  const std::vector<std::vector<double>> count_FK = {{12}, {0, 3}, {1, 2, 2}};
  EXPECT_THAT(mixture().group_sizes(count_FK),
              ElementsAre(DoubleNear(20 * (0.5 + 0.125 / 5), 1e-12), DoubleNear(20 * (0.375 + 0.125 * 0.4), 1e-12),
                          DoubleNear(20 * 0.125 * 0.4, 1e-12)));
}

TEST(FileMixture, OfSharesThatTheFilesHaveAnywayIsTheData) {
  const FileMixture natural({12, 3, 5}, std::vector<double>{12, 3, 5});
  for (std::size_t f = 0; f < 3; ++f) EXPECT_NEAR(natural.multiplicity(f), 1, 1e-15);
}

// With N_g of the mixture dataset_scaled is unbiased for the group's loss in the mixture.
TEST(FileMixture, GroupLossesOverWholePassesAreThoseOfTheMixture) {
  const std::vector<double> size_K = mixture().group_sizes(std::vector<std::vector<double>>{{8, 4}, {2, 1}, {3, 2}});
  ShardCursor batches = cursor(8, 4);
  std::vector<double> loss_K(2);
  for (std::int64_t step = 0; step < 15; ++step) {
    GroupSums sums{.group = {0, 1}, .loss_sum = {0, 0}, .pair_count = {0, 0}, .batch_pairs = 8};
    for (const std::int64_t pair : batches.global_batch(step)) {
      sums.loss_sum[group_of(pair)] += loss_of(pair);
      sums.pair_count[group_of(pair)] += 1;
    }
    for (std::size_t g = 0; g < 2; ++g) {
      if (sums.pair_count[g] == 0) sums.pair_count[g] = 1;  // absent: its loss sum is 0
    }
    const auto estimate = estimate_group_loss(sums, Estimator::kDatasetScaled, size_K, kPairs);
    for (std::size_t g = 0; g < 2; ++g) loss_K[g] += estimate[g] / 15;
  }
  for (std::uint32_t g = 0; g < 2; ++g) {
    const auto share = [&](std::int64_t pair) { return group_of(pair) == g ? 1.0 : 0.0; };
    const auto loss = [&](std::int64_t pair) { return share(pair) * loss_of(pair); };
    EXPECT_NEAR(loss_K[g], mixture_mean(loss) / mixture_mean(share), 1e-12) << g;
  }
}

TEST(FileMixture, RanksTogetherHaveTheBatchFromAnyStep) {
  ShardCursor alone = cursor(7, 9);
  for (const int world_size : {2, 4, 7}) {
    for (const std::int64_t step : {0, 5, 1000}) {
      std::vector<std::int64_t> joined;
      for (int rank = 0; rank < world_size; ++rank) {
        const auto part = cursor(7, 9, world_size).rank_batch(step, rank);
        joined.insert(joined.end(), part.begin(), part.end());
      }
      EXPECT_EQ(joined, alone.global_batch(step));
    }
  }
  EXPECT_DOUBLE_EQ(alone.epochs_done(6), 2);  // ceil(20 / 7) steps each
}

TEST(FileMixture, RefusesAFileWithoutPairs) {
  EXPECT_THROW(FileMixture({3, 0}, std::vector<double>{1, 1}), std::invalid_argument);
}

}  // namespace file_mixture_test
}  // namespace equipoise
