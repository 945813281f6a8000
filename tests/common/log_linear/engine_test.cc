#include "common/log_linear/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "common/log_linear/evaluation.h"
#include "common/log_linear/preference_generator.h"
#include "common/robust/worst_group.h"
#include "worker/collective/thread_ranks.h"

namespace equipoise::log_linear {
namespace engine_test {

// Three groups, so that nothing rests on there being two.
const Problem kProblem{FeatureMap::kSwapped, 8, {{1, 3, 1, 3}, {3, 1, 3, 1}, {2, 2, 2, 2}}, {1, 2, 3, 4}};

PairMatrix training_pairs() {
  const GeneratorSettings settings{Responses::kEven, Preferring::kBradleyTerry, {20, 100, 60}, 11};
  return make_pair_matrix(kProblem, generate_preferences(kProblem, settings));
}

EngineSettings group_robust_dpo() {
  EngineSettings settings;
  settings.loss = {PairLoss::kDpo, 1, 0};
  settings.robust.mode = RobustMode::kGroupRobust;
  settings.robust.step_size = 0.1;
  settings.theta.learning_rate = 0.3;
  return settings;
}

Engine run(const EngineSettings& settings, std::int64_t steps, PairMatrix matrix = training_pairs()) {
  Engine engine(std::move(matrix), kProblem.initial_theta_D, settings);
  engine.run(steps);
  return engine;
}

std::vector<double> group_losses(std::span<const double> theta_D, LossSettings loss) {
  return GroupLossEvaluator(training_pairs(), loss).group_loss_K(theta_D);
}

double largest(const std::vector<double>& values) { return *std::max_element(values.begin(), values.end()); }

void expect_alike(const Engine& many, const Engine& one) {
  for (std::size_t j = 0; j < 4; ++j) EXPECT_NEAR(many.theta_D()[j], one.theta_D()[j], 1e-11);
  for (std::size_t g = 0; g < 3; ++g) EXPECT_NEAR(many.alpha_K()[g], one.alpha_K()[g], 1e-12);
}

TEST(Engine, DoesNotDependOnTheNumberOfRanks) {
  const Engine one = run(group_robust_dpo(), 200);
  for (const int world_size : {1, 2, 4, 7}) {
    run_host_ranks(world_size, [&](HostCollective& host) {
      Engine rank(training_pairs(), kProblem.initial_theta_D, group_robust_dpo(), host);
      rank.run(200);
      expect_alike(rank, one);
    });
  }
}

TEST(Engine, ARankWithoutPairsTakesPart) {
  const PairMatrix all = training_pairs();
  std::vector<std::size_t> kept;  // the first pair of each group, and two more
  for (std::uint32_t g = 0; g < all.groups; ++g) {
    kept.push_back(static_cast<std::size_t>(std::ranges::find(all.group_N, g) - all.group_N.begin()));
  }
  kept.insert(kept.end(), {120, 160});
  PairMatrix few = all;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    std::ranges::copy(all.row(kept[i]), few.x_ND.begin() + static_cast<std::ptrdiff_t>(i * few.dim));
    few.group_N[i] = all.group_N[kept[i]];
  }
  few.x_ND.resize(kept.size() * few.dim);
  few.group_N.resize(kept.size());
  const Engine one = run(group_robust_dpo(), 50, few);
  run_host_ranks(7, [&](HostCollective& host) {
    Engine rank(few, kProblem.initial_theta_D, group_robust_dpo(), host);
    rank.run(50);
    expect_alike(rank, one);
  });
}

TEST(Engine, InClosedFormTheRanksAddUpTheirEquations) {
  EngineSettings settings = group_robust_dpo();
  settings.loss = {PairLoss::kIpo, 0.1, 0};
  settings.theta.closed_form = ClosedForm::kObjective;
  const Engine one = run(settings, 20);
  run_host_ranks(3, [&](HostCollective& host) {
    Engine rank(training_pairs(), kProblem.initial_theta_D, settings, host);
    rank.run(20);
    expect_alike(rank, one);
  });
}

TEST(Engine, GivesTheSameBitsAgain) {
  const Engine first = run(group_robust_dpo(), 300);
  const Engine again = run(group_robust_dpo(), 300);
  EXPECT_TRUE(std::ranges::equal(first.theta_D(), again.theta_D()));
  EXPECT_EQ(first.alpha_K(), again.alpha_K());
}

// Groups renamed by g -> (g + 2) mod 3; the rows of the matrix stay, only their labels change.
TEST(Engine, RenamesItsWeightsWithTheGroups) {
  PairMatrix renamed = training_pairs();
  for (std::uint32_t& group : renamed.group_N) group = (group + 2) % 3;
  const Engine before = run(group_robust_dpo(), 200);
  const Engine after = run(group_robust_dpo(), 200, renamed);
  for (std::size_t g = 0; g < 3; ++g) EXPECT_NEAR(after.alpha_K()[(g + 2) % 3], before.alpha_K()[g], 1e-12);
  for (std::size_t j = 0; j < 4; ++j) EXPECT_NEAR(after.theta_D()[j], before.theta_D()[j], 1e-11);
}

TEST(Engine, GroupRobustLowersTheLargestGroupLossBelowThatOfTheMean) {
  EngineSettings mean = group_robust_dpo();
  mean.robust.mode = RobustMode::kNone;
  const LossSettings loss = mean.loss;
  const Engine robust = run(group_robust_dpo(), 5000);
  const double at_start = largest(group_losses(kProblem.initial_theta_D, loss));
  const double of_robust = largest(group_losses(robust.average_theta_D(), loss));
  EXPECT_LT(of_robust, at_start);
  EXPECT_LT(of_robust, largest(group_losses(run(mean, 5000).theta_D(), loss)));
}

TEST(Engine, TradeOffZeroDescendsTheMeanOfTheGroupLosses) {
  EngineSettings settings = group_robust_dpo();
  settings.robust.trade_off = 0;
  const Engine engine = run(settings, 1);
  GroupedPairs pairs;
  pairs.assign(engine.matrix(), PairRange{0, engine.matrix().pairs()});
  StepSums sums(settings.loss, 3, 4);
  sums.assign(pairs, kProblem.initial_theta_D);
  for (std::size_t j = 0; j < 4; ++j) {
    double gradient = 0;
    for (std::size_t g = 0; g < 3; ++g) gradient += sums.gradient_sum(g)[j] / sums.pair_count(g) / 3;
    EXPECT_NEAR(engine.theta_D()[j], kProblem.initial_theta_D[j] - 0.3 * gradient, 1e-14);
  }
}

TEST(Engine, AveragesTheWeightsThatTheGradientsUsed) {
  Engine engine(training_pairs(), kProblem.initial_theta_D, group_robust_dpo());
  std::vector<double> sum_K(3);
  for (int i = 0; i < 50; ++i) {
    engine.step();
    for (std::size_t g = 0; g < 3; ++g) sum_K[g] += engine.alpha_K()[g];  // chi = 1: w is alpha
  }
  for (std::size_t g = 0; g < 3; ++g) EXPECT_NEAR(engine.average_weight_K()[g], sum_K[g] / 50, 1e-14);
}

// The paper's Algorithm 1 against its full-batch twin: the averages of many small steps end at the same losses.
TEST(Engine, OneSampledGroupAStepReachesTheLossesOfTheFullBatch) {
  EngineSettings full = group_robust_dpo();
  full.theta.learning_rate = full.robust.step_size = 0.05;
  EngineSettings sampled = full;
  sampled.sampling = Sampling::kOneGroup;
  sampled.robust.estimator = Estimator::kDatasetScaled;
  sampled.theta.learning_rate = sampled.robust.step_size = 1e-3;
  sampled.seed = 3;
  const double wanted = largest(group_losses(run(full, 20000).average_theta_D(), full.loss));
  const double found = largest(group_losses(run(sampled, 400000).average_theta_D(), full.loss));
  EXPECT_NEAR(found, wanted, 0.02 * wanted);
}

TEST(Engine, SkipsAStepWhoseLossIsNotFinite) {
  EngineSettings settings = group_robust_dpo();
  settings.loss = {PairLoss::kIpo, 0.1, 0};
  settings.theta.learning_rate = 1e200;  // the first step throws theta out, the second finds an infinite loss
  const Engine engine = run(settings, 5);
  EXPECT_EQ(engine.skipped_steps(), 4);
  EXPECT_TRUE(std::isfinite(engine.theta_D()[0]));
  for (const double alpha : engine.alpha_K()) EXPECT_TRUE(std::isfinite(alpha));
}

TEST(Engine, ShrinksTheStepOfTheWeightsOnAPlateau) {
  EngineSettings settings = group_robust_dpo();
  settings.robust.step_plateau = {.factor = 0.5, .patience = 10, .threshold = 0.5};  // no loss halves in ten steps
  EXPECT_EQ(run(settings, 11).alpha_step_size(), 0.05);  // the first loss is the best so far, ten are not below half
}

// With label noise of 0.4 the losses of a fitted policy are far below 0. The largest of them and 0 was observed, which
// never fell.
TEST(Engine, KeepsTheStepOfTheWeightsWhileNegativeLossesFall) {
  const Problem agreed{FeatureMap::kSame, 8, {{1, 3, 1, 3}, {1, 3, 1, 3}, {1, 3, 1, 3}}, {1, 2, 3, 4}};
  const GeneratorSettings data{Responses::kEven, Preferring::kDeterministic, {20, 100, 60}, 11};
  EngineSettings settings = group_robust_dpo();
  settings.loss = {.type = PairLoss::kDpo, .beta = 1, .label_noise = 0.4};
  settings.theta.learning_rate = 0.01;
  settings.robust.step_plateau = {.factor = 0.5, .patience = 3, .threshold = 0};
  Engine engine(make_pair_matrix(agreed, generate_preferences(agreed, data)), {4, 12, 4, 12}, settings);
  int negative = 0;
  double before = std::numeric_limits<double>::infinity();
  for (int step = 0; step < 20; ++step) {
    engine.step();
    const GroupSums& sums = engine.group_sums();
    const double worst = worst_mean_loss(sums.loss_sum, sums.pair_count).value();
    ASSERT_LT(worst, before);
    before = worst;
    negative += worst < 0 ? 1 : 0;
  }
  EXPECT_GT(negative, 5);
  EXPECT_EQ(engine.alpha_step_size(), 0.1);
}

TEST(Engine, RefusesWhatCannotRun) {
  EngineSettings settings = group_robust_dpo();
  settings.batch_pairs = 0;
  EXPECT_THROW(run(settings, 1), std::invalid_argument);
  PairMatrix without_group_two = training_pairs();
  for (std::uint32_t& group : without_group_two.group_N) group = std::min(group, 1u);
  EXPECT_THROW(run(group_robust_dpo(), 1, without_group_two), std::invalid_argument);
  EXPECT_THROW(Engine(training_pairs(), {1, 2}, group_robust_dpo()), std::invalid_argument);
}

}  // namespace engine_test
}  // namespace equipoise::log_linear
