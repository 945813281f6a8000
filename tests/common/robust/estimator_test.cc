#include "common/robust/estimator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <vector>

#include "common/dataset/shard_plan.h"
#include "common/robust/group_weights.h"
#include "worker/data/file_mixture.h"

namespace equipoise {
namespace estimator_test {

using testing::Each;
using testing::ElementsAre;

TEST(EstimatorSizes, AreOfTheDataForTheUnbiasedOneAndOfThePopulationForTheOthers) {
  const std::vector<double> counted_K = {4, 6}, population_K = {100, 300};
  const GroupSizes counted{counted_K, 10}, population{population_K, 400};
  EXPECT_EQ(estimator_sizes(Estimator::kUnbiased, counted, population).num_pairs, 10);
  EXPECT_EQ(estimator_sizes(Estimator::kUnbiased, counted, population).pair_count_K[1], 6);
  for (const Estimator estimator : {Estimator::kBatchMean, Estimator::kDatasetScaled, Estimator::kBatchSum}) {
    EXPECT_EQ(estimator_sizes(estimator, counted, population).num_pairs, 400);
    EXPECT_EQ(estimator_sizes(estimator, counted, population).pair_count_K[1], 300);
  }
  EXPECT_EQ(estimator_sizes(Estimator::kUnbiased, {}, population).num_pairs, 400) << "the same";
}

// Pairs with losses that stay as they are, so that every batch is an estimate of one and the same L_g.
struct Population {
  std::vector<std::vector<Membership>> memberships_N;
  std::vector<double> loss_N;
  std::vector<double> weight_N;  // of a pair in every sum; empty: 1
  std::size_t num_groups = 0;

  double weight(std::size_t i) const { return weight_N.empty() ? 1 : weight_N[i]; }
  std::vector<std::span<const Membership>> memberships() const { return {memberships_N.begin(), memberships_N.end()}; }
  void add(std::vector<Membership> memberships, double loss) {
    memberships_N.push_back(std::move(memberships));
    loss_N.push_back(loss);
  }
};

// Over pairs `indices`, each times `factor` of it.
GroupSums sums_over(const Population& population, std::span<const std::int64_t> indices,
                    const std::function<double(std::int64_t)>& factor) {
  std::vector<double> loss_K(population.num_groups), count_K(population.num_groups);
  for (const std::int64_t index : indices) {
    const auto i = static_cast<std::size_t>(index);
    for (const Membership& membership : population.memberships_N[i]) {
      const double share = factor(index) * population.weight(i) * membership.weight;
      loss_K[membership.group] += share * population.loss_N[i];
      count_K[membership.group] += share;
    }
  }
  GroupSums sums{.group = {}, .loss_sum = {}, .pair_count = {}, .batch_pairs = static_cast<double>(indices.size())};
  for (std::uint32_t g = 0; g < population.num_groups; ++g) {
    if (count_K[g] == 0) continue;
    sums.group.push_back(g);
    sums.loss_sum.push_back(loss_K[g]);
    sums.pair_count.push_back(count_K[g]);
  }
  return sums;
}

// N_g and L_g of pairs that count `factor` times each.
GroupSums whole(
    const Population& population, const std::function<double(std::int64_t)>& factor = [](auto) { return 1; }) {
  std::vector<std::int64_t> all(population.loss_N.size());
  std::iota(all.begin(), all.end(), std::int64_t{0});
  return sums_over(population, all, factor);
}

RobustSettings settings_of(Estimator estimator, double step_size = 0.1) {
  RobustSettings settings;
  settings.mode = RobustMode::kGroupRobust;
  settings.estimator = estimator;
  settings.step_size = step_size;
  return settings;
}

// Groups of `sizes` pairs; losses of group g are 0.4 + 0.3 g / K +- `width`.
Population disjoint_groups(const std::vector<int>& sizes, double width = 0.2) {
  Population population;
  population.num_groups = sizes.size();
  std::mt19937 random(1);
  std::uniform_real_distribution<double> spread(-width, width);
  for (std::uint32_t g = 0; g < sizes.size(); ++g) {
    const double level = 0.4 + 0.3 * g / static_cast<double>(sizes.size());
    for (int i = 0; i < sizes[g]; ++i) population.add({{.group = g, .weight = 1}}, level + spread(random));
  }
  return population;
}

constexpr int kBatches = 10000;

struct Estimates {
  std::vector<double> mean_K, error_K;  // over kBatches batches, and the standard error of that mean
};

// L_g of every group as each batch of the plan estimates it, with the control variates that GroupWeights keeps.
Estimates estimates_of(const Population& population, const ShardPlan& plan, const std::optional<Strata>& strata,
                       const GroupSums& sizes) {
  const auto pairs = static_cast<double>(population.loss_N.size());
  GroupWeights weights(settings_of(Estimator::kUnbiased), sizes.pair_count, pairs);
  ShardCursor cursor(plan, strata);
  const std::size_t num_groups = population.num_groups;
  std::vector<double> sum_K(num_groups), square_K(num_groups);
  for (int step = 0; step < kBatches; ++step) {
    const GroupSums sums = sums_over(population, cursor.global_batch(step),
                                     [&](std::int64_t pair) { return cursor.pair_weight(step, pair); });
    const std::vector<double> estimate_K = weights.estimated_loss_K(sums);
    for (std::size_t g = 0; g < num_groups; ++g) {
      sum_K[g] += estimate_K[g];
      square_K[g] += estimate_K[g] * estimate_K[g];
    }
    weights.step(sums);
  }
  Estimates estimates{std::vector<double>(num_groups), std::vector<double>(num_groups)};
  for (std::size_t g = 0; g < num_groups; ++g) {
    const double mean = sum_K[g] / kBatches;
    estimates.mean_K[g] = mean;
    estimates.error_K[g] = std::sqrt(std::max(0.0, square_K[g] / kBatches - mean * mean) / kBatches);
  }
  return estimates;
}

// The mean of the estimates is L_g within three standard errors; of many groups one in a hundred may be beyond, as
// chance has it for one in 370.
void expect_unbiased(const Population& population, const ShardPlan& plan, const std::optional<Strata>& strata,
                     const GroupSums& sizes) {
  const Estimates estimates = estimates_of(population, plan, strata, sizes);
  std::size_t beyond = 0;
  for (std::size_t g = 0; g < population.num_groups; ++g) {
    const double loss = sizes.loss_sum[g] / sizes.pair_count[g];
    const double distance = std::abs(estimates.mean_K[g] - loss);
    if (distance > 3 * estimates.error_K[g] + 1e-9) ++beyond;
    EXPECT_LE(distance, 5 * estimates.error_K[g] + 1e-9) << "group " << g << " of " << sizes.pair_count[g];
  }
  EXPECT_LE(beyond, population.num_groups / 100);
}

ShardPlan plan_of(const Population& population, std::int64_t batch_size) {
  return {.seed = 3, .num_pairs = static_cast<std::int64_t>(population.loss_N.size()), .global_batch_size = batch_size};
}

TEST(UnbiasedEstimator, IsTheGroupsLossOnAverageForGroupsOfATenthOfAPercentToNineTenths) {
  const Population population = disjoint_groups({9000, 700, 200, 90, 10});
  expect_unbiased(population, plan_of(population, 8), std::nullopt, whole(population));
}

TEST(UnbiasedEstimator, IsTheGroupsLossOnAverageForAThousandGroups) {
  std::vector<int> sizes(1000);
  for (std::size_t g = 0; g < sizes.size(); ++g) sizes[g] = 2 + static_cast<int>(g % 19);
  const Population population = disjoint_groups(sizes);
  expect_unbiased(population, plan_of(population, 64), std::nullopt, whole(population));
}

TEST(UnbiasedEstimator, IsTheGroupsLossOnAverageWithMembershipsLevelsAndWeightsOfPairs) {
  Population population = disjoint_groups({1500, 400, 100});
  population.num_groups = 5;
  std::mt19937 random(4);
  for (std::size_t i = 0; i < population.loss_N.size(); ++i) {
    population.memberships_N[i].push_back({.group = 3, .weight = 0.25 + 0.5 * static_cast<double>(i % 2)});
    if (i % 20 == 0) population.memberships_N[i].push_back({.group = 4, .weight = 1});  // overlaps all of them
    population.weight_N.push_back(std::uniform_real_distribution<double>(0.5, 3)(random));
  }
  expect_unbiased(population, plan_of(population, 16), std::nullopt, whole(population));
}

TEST(UnbiasedEstimator, IsTheGroupsLossOnAverageInStratifiedBatches) {
  Population population = disjoint_groups({1500, 400, 90, 10});
  population.num_groups = 5;
  for (std::size_t i = 0; i < population.loss_N.size(); i += 3)
    population.memberships_N[i].push_back({.group = 4, .weight = 1});
  std::vector<std::string> names = {"a", "b", "c", "d", "e"};
  ShardPlan plan = plan_of(population, 8);
  plan.stratified = true;
  const auto memberships_N = population.memberships();
  const auto strata = [&](const std::map<std::string, double>& shares) {
    return make_strata(smallest_groups(memberships_N, population.num_groups), names, shares);
  };
  expect_unbiased(population, plan, strata({}), whole(population));
  // Half a place a batch for the smallest one.
  expect_unbiased(population, plan, strata({{"a", 3}, {"b", 1}, {"c", 1.5}, {"d", 0.5}, {"e", 2}}), whole(population));
}

TEST(UnbiasedEstimator, IsTheGroupsLossInTheMixtureOnAverageWhereFilesHaveWeights) {
  const Population population = disjoint_groups({900, 100, 400, 600});
  const FileMixture mixture({1000, 1000}, std::vector<double>{3, 1});  // groups 0 and 1; groups 2 and 3
  ShardPlan plan = plan_of(population, 8);
  plan.mixed = true;
  const GroupSums sizes =
      whole(population, [&](std::int64_t pair) { return mixture.multiplicity(static_cast<std::size_t>(pair / 1000)); });
  expect_unbiased(population, plan, mixture.strata(), sizes);
}

// The smallest case of "alpha follows attendance": one and the same pair in 380 rows of one group and 20 of another.
double weight_of_the_rare_twin(Estimator estimator, std::uint64_t seed) {
  Population population;
  population.num_groups = 2;
  for (int i = 0; i < 400; ++i) population.add({{.group = i < 380 ? 0u : 1u, .weight = 1}}, std::log(2));
  ShardPlan plan = plan_of(population, 8);
  plan.seed = seed;
  ShardCursor cursor(plan);
  GroupWeights weights(settings_of(estimator, 0.1), {380, 20}, 400);
  for (int step = 0; step < 200; ++step)
    weights.step(sums_over(population, cursor.global_batch(step), [](auto) { return 1; }));
  return weights.alpha_K()[1];
}

TEST(UnbiasedEstimator, LeavesTheWeightsAloneWhereAllLossesAreEqualHoweverRareAGroupIs) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_NEAR(weight_of_the_rare_twin(Estimator::kUnbiased, seed), 0.5, 1e-9);
    EXPECT_LT(weight_of_the_rare_twin(Estimator::kBatchMean, seed), 0.01);  // what rarity alone does to it
  }
}

TEST(UnbiasedEstimator, HasTheBitsOfTheBatchMeanWhereTheBatchHasEachGroupsShare) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(0.1, 2);
  for (int trial = 0; trial < 50; ++trial) {
    const std::vector<double> size_K = {uniform(random) * 100, uniform(random), 3, uniform(random) * 1e5};
    const double pairs = std::accumulate(size_K.begin(), size_K.end(), 0.0);
    RobustSettings settings = settings_of(Estimator::kUnbiased);
    settings.adjustment = trial % 2;
    if (trial % 3 == 0) settings.baseline_K = {0.1, 0, 0.3, -0.2};
    GroupWeights unbiased(settings, size_K, pairs);
    settings.estimator = Estimator::kBatchMean;
    GroupWeights batch_mean(settings, size_K, pairs);
    for (int step = 0; step < 5; ++step) {
      GroupSums sums{.group = {0, 1, 2, 3}, .loss_sum = {}, .pair_count = {}, .batch_pairs = pairs / 4};
      for (const double size : size_K) {
        sums.pair_count.push_back(size / 4);
        sums.loss_sum.push_back(size / 4 * uniform(random));
      }
      EXPECT_EQ(unbiased.step(sums), batch_mean.step(sums));
      EXPECT_EQ(unbiased.log_alpha_K(), batch_mean.log_alpha_K());
      EXPECT_EQ(estimator_scale(sums, Estimator::kUnbiased, size_K, pairs),
                estimator_scale(sums, Estimator::kBatchMean, size_K, pairs));
    }
  }
}

TEST(UnbiasedEstimator, HasTheGradientOfDatasetScaled) {
  const GroupSums sums{.group = {0, 2}, .loss_sum = {1, 2}, .pair_count = {3, 5}, .batch_pairs = 8};
  const std::vector<double> size_K = {10, 20, 70};
  EXPECT_EQ(estimator_scale(sums, Estimator::kUnbiased, size_K, 100),
            estimator_scale(sums, Estimator::kDatasetScaled, size_K, 100));
}

// Losses as a policy has them that has begun to learn: they differ by some tenths of their mean.
TEST(UnbiasedEstimator, VariesTenTimesLessThanDatasetScaled) {
  const Population population = disjoint_groups({580, 240, 120, 50, 10}, 0.1);
  const GroupSums sizes = whole(population);
  ShardCursor cursor(plan_of(population, 16));
  GroupWeights weights(settings_of(Estimator::kUnbiased), sizes.pair_count, 1000);
  std::vector<double> unbiased_K(5), scaled_K(5);
  for (int step = 0; step < kBatches; ++step) {
    const GroupSums sums = sums_over(population, cursor.global_batch(step), [](auto) { return 1; });
    std::vector<double> scaled(5);
    const auto present = estimate_group_loss(sums, Estimator::kDatasetScaled, sizes.pair_count, 1000);
    for (std::size_t i = 0; i < present.size(); ++i) scaled[sums.group[i]] = present[i];
    const auto unbiased = weights.estimated_loss_K(sums);
    for (std::size_t g = 0; g < 5; ++g) {
      const double loss = sizes.loss_sum[g] / sizes.pair_count[g];
      unbiased_K[g] += (unbiased[g] - loss) * (unbiased[g] - loss);
      scaled_K[g] += (scaled[g] - loss) * (scaled[g] - loss);
    }
    weights.step(sums);
  }
  for (std::size_t g = 0; g < 5; ++g) EXPECT_GT(scaled_K[g], 10 * unbiased_K[g]) << "group " << g;
}

TEST(UnbiasedEstimator, TakesAGroupThatNoBatchHasHadToBeAsTheOthersAre) {
  GroupWeights weights(settings_of(Estimator::kUnbiased), {60, 30, 10}, 100);
  weights.step({.group = {0}, .loss_sum = {1.2}, .pair_count = {2}, .batch_pairs = 2});
  EXPECT_NEAR(weights.alpha_K()[1], weights.alpha_K()[0], 1e-12);  // the first batch has nothing before it
  weights.step({.group = {0, 1}, .loss_sum = {0.6, 0.9}, .pair_count = {1, 1}, .batch_pairs = 2});
  EXPECT_TRUE(std::isnan(weights.group_loss_K()[2]));
  // k_1 was 0.6, the mean of what was known; one pair moves it by a seventeenth.
  EXPECT_NEAR(weights.group_loss_K()[1], 0.6 + (0.9 - 0.6) / 17, 1e-12);
}

TEST(UnbiasedEstimator, GoesOnFromARecordBitByBit) {
  const Population population = disjoint_groups({70, 20, 10});
  const GroupSums sizes = whole(population);
  ShardCursor cursor(plan_of(population, 4));
  const auto sums_at = [&](int step) {
    return sums_over(population, cursor.global_batch(step), [](auto) { return 1; });
  };
  GroupWeights whole_run(settings_of(Estimator::kUnbiased), sizes.pair_count, 100);
  for (int step = 0; step < 10; ++step) whole_run.step(sums_at(step));
  GroupWeights resumed(settings_of(Estimator::kUnbiased), sizes.pair_count, 100);
  resumed.restore(whole_run.log_alpha_K(), whole_run.group_loss_K());
  for (int step = 10; step < 20; ++step) EXPECT_EQ(whole_run.step(sums_at(step)), resumed.step(sums_at(step)));
  EXPECT_EQ(whole_run.log_alpha_K(), resumed.log_alpha_K());
  EXPECT_EQ(whole_run.group_loss_K(), resumed.group_loss_K());
}

TEST(UnbiasedEstimator, TakesARecordWithoutLossesAsOneOfUnknownLosses) {
  GroupWeights weights(settings_of(Estimator::kUnbiased), {1, 1}, 2);
  weights.restore({std::log(0.25), std::log(0.75)});
  EXPECT_TRUE(std::isnan(weights.group_loss_K()[0]));
  EXPECT_NEAR(weights.alpha_K()[1], 0.75, 1e-12);
}

TEST(UnbiasedEstimator, StaysFiniteForSizesAndLossesAtTheEdgeOfTheNumbers) {
  for (const double size : {5e-324, 1e-310, 1e-6, 1e300}) {
    for (const double loss : {0.0, 1e300, -1e300}) {
      GroupWeights weights(settings_of(Estimator::kUnbiased, 1e10), {size, 1}, 2);
      for (int step = 0; step < 3; ++step)
        weights.step({.group = {0, 1}, .loss_sum = {loss, 1}, .pair_count = {size, 1}, .batch_pairs = 2});
      for (const double log_alpha : weights.log_alpha_K()) EXPECT_TRUE(std::isfinite(log_alpha)) << size << " " << loss;
      for (const double control : weights.group_loss_K()) EXPECT_TRUE(std::isfinite(control)) << size << " " << loss;
    }
  }
}

TEST(UnbiasedEstimator, DividesByTheSizesOfTheDataWhereOthersAreGiven) {
  const Population population = disjoint_groups({50, 50});
  const GroupSums sizes = whole(population);
  RobustSettings settings = settings_of(Estimator::kUnbiased);
  settings.counted_K = sizes.pair_count;
  settings.counted_pairs = 100;
  GroupWeights of_population(settings, {9'000'000, 1000}, 9'001'000), of_data(settings, {50, 50}, 100);
  ShardCursor cursor(plan_of(population, 4));
  for (int step = 0; step < 20; ++step) {
    const GroupSums sums = sums_over(population, cursor.global_batch(step), [](auto) { return 1; });
    of_population.step(sums);
    of_data.step(sums);
  }
  EXPECT_NEAR(of_population.alpha_K()[0], of_data.alpha_K()[0], 1e-12);
}

}  // namespace estimator_test
}  // namespace equipoise
