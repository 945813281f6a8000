#include "worker/language_model/objective_error.h"

#include <gtest/gtest.h>

#include <cmath>

#include "worker/collective/cpu_collective.h"
#include "worker/objective/group_sums.h"

namespace equipoise {
namespace objective_error_test {

// 12 pairs in groups of 8 and 4; a pair of `overlapping` data is in both.
enum class Groups { kDisjoint, kOverlapping };
std::vector<Membership> memberships_of(int i, Groups groups) {
  std::vector<Membership> memberships = {{.group = i % 3 == 0 ? 1u : 0u, .weight = 1}};
  if (groups == Groups::kOverlapping && i == 0)
    memberships.insert(memberships.begin(), Membership{.group = 0, .weight = 1});
  return memberships;
}
double loss_of(int i) { return 1 + std::sin(2.0 * i); }

struct Batch {
  BatchSums sums{2};
  std::vector<std::vector<Membership>> memberships_B;
  RankLosses losses;
};

Batch batch_of(Collective& collective, Groups groups) {
  Batch batch;
  for (int i = collective.info().rank; i < 12; i += collective.info().world_size) {
    batch.memberships_B.push_back(memberships_of(i, groups));
    batch.losses.loss_B.push_back(loss_of(i));
    batch.losses.weight_B.push_back(1);
    batch.sums.add({.loss = loss_of(i)}, batch.memberships_B.back());
  }
  for (const auto& memberships : batch.memberships_B) batch.losses.memberships_B.emplace_back(memberships);
  batch.sums.all_reduce(collective);
  batch.sums.reduce_errors(collective);
  return batch;
}

// 64 bits of the same objective_error() on every rank.
double error_of(const RobustSettings& robust, Groups groups, int world_size, const std::vector<double>& weight) {
  double result = 0;
  run_ranks(world_size, [&](Collective& collective) {
    const Batch batch = batch_of(collective, groups);
    const GroupSums sums = batch.sums.group_sums();
    const auto scale = estimator_scale(sums, robust.estimator, std::vector<double>{80, 40}, 120);
    double objective = 0;
    for (std::size_t g = 0; g < 2; ++g) objective += weight[g] * scale[g] * sums.loss_sum[g];
    const auto error =
        objective_error(robust, batch.sums, objective, batch.losses, {.weight = weight, .scale = scale}, collective);
    ASSERT_TRUE(error.has_value());
    if (collective.info().rank == 0) result = *error;
  });
  return result;
}

RobustSettings settings(RobustMode mode, Estimator estimator) {
  RobustSettings robust;
  robust.mode = mode;
  robust.estimator = estimator;
  return robust;
}

double sample_error(const std::vector<double>& value_N) {
  return *weighted_mean(value_N, std::vector<double>(value_N.size(), 1))->error;
}

TEST(ObjectiveError, OfDisjointGroupsIsThatOfTheirMeansByTheSquaresOfTheirWeights) {
  std::vector<std::vector<double>> loss_K(2);
  for (int i = 0; i < 12; ++i) loss_K[memberships_of(i, Groups::kDisjoint)[0].group].push_back(loss_of(i));
  const double wanted = std::hypot(0.25 * sample_error(loss_K[0]), 0.75 * sample_error(loss_K[1]));
  for (const int world_size : {1, 2, 5}) {
    EXPECT_NEAR(error_of(settings(RobustMode::kGroupRobust, Estimator::kBatchMean), Groups::kDisjoint, world_size,
                         {0.25, 0.75}),
                wanted, 1e-12);
  }
}

// What a pair in both groups does to both means adds up before it is squared.
TEST(ObjectiveError, OfGroupsThatOverlapCountsWhatTheyHaveInCommon) {
  std::vector<std::vector<int>> pairs_K(2);
  for (int i = 0; i < 12; ++i) {
    for (const Membership& membership : memberships_of(i, Groups::kOverlapping)) pairs_K[membership.group].push_back(i);
  }
  std::vector<double> z(12);
  const std::vector<double> weight = {0.25, 0.75};
  for (std::size_t g = 0; g < 2; ++g) {
    const auto n = static_cast<double>(pairs_K[g].size());
    double mean = 0;
    for (const int i : pairs_K[g]) mean += loss_of(i) / n;
    for (const int i : pairs_K[g]) {
      z[static_cast<std::size_t>(i)] += weight[g] * std::sqrt(n / (n - 1)) * (loss_of(i) - mean) / n;
    }
  }
  double square = 0;
  for (const double one : z) square += one * one;
  EXPECT_NEAR(error_of(settings(RobustMode::kGroupRobust, Estimator::kBatchMean), Groups::kOverlapping, 2, weight),
              std::sqrt(square), 1e-12);
}

TEST(ObjectiveError, OfEstimatorsThatAreSumsIsThatOfTheirTerms) {
  std::vector<double> term_N;
  for (int i = 0; i < 12; ++i) {
    const bool in_second = memberships_of(i, Groups::kDisjoint)[0].group == 1;
    term_N.push_back((in_second ? 0.75 * 120 / 40 : 0.25 * 120 / 80) * loss_of(i));
  }
  for (const int world_size : {1, 3}) {
    EXPECT_NEAR(error_of(settings(RobustMode::kGroupRobust, Estimator::kDatasetScaled), Groups::kDisjoint, world_size,
                         {0.25, 0.75}),
                sample_error(term_N), 1e-12);
  }
}

TEST(ObjectiveError, WithoutGroupsIsThatOfTheMeanLoss) {
  std::vector<double> loss_N;
  for (int i = 0; i < 12; ++i) loss_N.push_back(loss_of(i));
  EXPECT_NEAR(error_of(settings(RobustMode::kNone, Estimator::kBatchMean), Groups::kDisjoint, 2, {0, 0}),
              sample_error(loss_N), 1e-12);
}

TEST(ObjectiveError, IsUnknownWhereAGroupThatWeighsHasASinglePair) {
  run_ranks(2, [](Collective& collective) {
    BatchSums sums(2);
    const std::vector<Membership> first = {{0, 1}}, second = {{1, 1}};
    RankLosses losses{.loss_B = {1, 2}, .memberships_B = {first, first}, .weight_B = {1, 1}};
    for (const double loss : losses.loss_B) sums.add({.loss = loss}, first);
    if (collective.info().rank == 0) {
      sums.add({.loss = 3}, second);
      losses = {.loss_B = {1, 2, 3}, .memberships_B = {first, first, second}, .weight_B = {1, 1, 1}};
    }
    sums.all_reduce(collective);
    sums.reduce_errors(collective);
    const std::vector<double> scale = {1. / 4, 1};
    const auto error = [&](const std::vector<double>& weight) {
      return objective_error(settings(RobustMode::kGroupRobust, Estimator::kBatchMean), sums, 0, losses,
                             {.weight = weight, .scale = scale}, collective);
    };
    EXPECT_FALSE(error({0.5, 0.5}).has_value());
    EXPECT_TRUE(error({1, 0}).has_value());
  });
}

}  // namespace objective_error_test
}  // namespace equipoise
