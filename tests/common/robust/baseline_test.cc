// GroupWeights above a baseline b_g.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "common/robust/group_weights.h"

namespace equipoise {
namespace baseline_test {

constexpr double kRounding = 1e-14;  // a few operations in float64 on numbers up to 1

RobustSettings above(std::vector<double> baseline_K) {
  RobustSettings settings;
  settings.mode = RobustMode::kGroupRobust;
  settings.estimator = Estimator::kBatchMean;
  settings.step_size = 0.5;
  settings.baseline_K = std::move(baseline_K);
  return settings;
}

void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t g = 0; g < found.size(); ++g) EXPECT_NEAR(found[g], expected[g], kRounding) << "group " << g;
}

TEST(Baseline, WeightsFollowTheLossAboveIt) {
  GroupWeights weights(above({0.6, 0.1}), {4, 4}, 8);
  weights.step({.group = {0, 1}, .loss_sum = {2 * 0.7, 3 * 0.4}, .pair_count = {2, 3}, .batch_pairs = 5});
  const double first = std::exp(0.5 * 0.1), second = std::exp(0.5 * 0.3);
  expect_near(weights.alpha_K(), {first / (first + second), second / (first + second)});
}

TEST(Baseline, AGroupThatIsAtItNeitherRisesNorFalls) {
  GroupWeights weights(above({0.7, 0.7, 0.2}), {1, 1, 1}, 3);
  for (int step = 0; step < 50; ++step) {
    weights.step({.group = {0, 1, 2}, .loss_sum = {0.7, 0.7, 0.2}, .pair_count = {1, 1, 1}, .batch_pairs = 3});
  }
  expect_near(weights.alpha_K(), {1.0 / 3, 1.0 / 3, 1.0 / 3});
}

TEST(Baseline, OneForAllIsTheSameAsNone) {
  GroupWeights with(above({0.3, 0.3}), {3, 1}, 4), without(above({}), {3, 1}, 4);
  const GroupSums sums{.group = {0, 1}, .loss_sum = {1.5, 0.9}, .pair_count = {3, 1}, .batch_pairs = 4};
  with.step(sums);
  without.step(sums);
  expect_near(with.alpha_K(), without.alpha_K());
}

TEST(Baseline, ZerosGiveTheSameBitsAsNone) {
  GroupWeights with(above({0, 0}), {3, 1}, 4), without(above({}), {3, 1}, 4);
  for (int step = 1; step < 20; ++step) {
    const GroupSums sums{.group = {0, 1}, .loss_sum = {1.5 / step, 0.9}, .pair_count = {3, 1}, .batch_pairs = 4};
    with.step(sums);
    without.step(sums);
  }
  EXPECT_EQ(with.log_alpha_K(), without.log_alpha_K());
}

// Over all pairs as batches of one, dataset_scaled adds up to L_g - b_g of each group, though one is absent each time.
TEST(Baseline, DatasetScaledStaysUnbiased) {
  const std::vector<double> loss = {0.5, 1.5, 4.0, 0.25, 2.25}, baseline_K = {0.4, 0.9};
  const std::vector<std::uint32_t> group = {0, 0, 0, 1, 1};
  RobustSettings settings = above(baseline_K);
  settings.estimator = Estimator::kDatasetScaled;
  GroupWeights weights(settings, {3, 2}, 5);
  for (std::size_t i = 0; i < loss.size(); ++i) {
    weights.step({.group = {group[i]}, .loss_sum = {loss[i]}, .pair_count = {1}, .batch_pairs = 1});
  }
  const double first = 6.0 / 3 - baseline_K[0], second = 2.5 / 2 - baseline_K[1];
  const double ratio = std::exp(0.5 * 5 * (first - second));
  expect_near(weights.alpha_K(), {ratio / (1 + ratio), 1 / (1 + ratio)});
}

TEST(Baseline, HoldsForClosedFormsToo) {
  RobustSettings settings = above({0.6, 0.1, 0.2});
  settings.ambiguity_set = AmbiguitySet::kKl;
  settings.tau = 0.5;
  GroupWeights weights(settings, {1, 1, 2}, 4);
  // Group 2 is not known yet: it counts as the mean of the others' excess, 0.1 and 0.3.
  weights.step({.group = {0, 1}, .loss_sum = {0.7, 0.4}, .pair_count = {1, 1}, .batch_pairs = 2});
  const std::vector<double> raw = {std::exp(0.1 / 0.5), std::exp(0.3 / 0.5), 2 * std::exp(0.2 / 0.5)};
  const double total = raw[0] + raw[1] + raw[2];
  expect_near(weights.alpha_K(), {raw[0] / total, raw[1] / total, raw[2] / total});
  EXPECT_NEAR(weights.group_loss_K()[0], 0.7, kRounding) << "what is recorded is the loss itself";
}

TEST(Baseline, IsRefusedWhereItIsNoNumberForEachGroup) {
  EXPECT_THROW(GroupWeights(above({0.1}), {1, 1}, 2), std::invalid_argument);
  EXPECT_THROW(GroupWeights(above({0.1, std::nan("")}), {1, 1}, 2), std::invalid_argument);
  EXPECT_THROW(GroupWeights(above({0.1, std::numeric_limits<double>::infinity()}), {1, 1}, 2), std::invalid_argument);
  EXPECT_NO_THROW(GroupWeights(above({-3, 0}), {1, 1}, 2));
}

}  // namespace baseline_test
}  // namespace equipoise
