// Reads the bandit cases that the authors' program made (golden/bandits) into problems and settings.
#include "experiments/bandits/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/data/preference_generator.h"
#include "common/log_linear/evaluation.h"
#include "common/log_linear/preference.h"
#include "common/log_linear/problem.h"
#include "common/robust/worst_group.h"
#include "worker/collective/host_ranks.h"

namespace equipoise::log_linear {

inline nlohmann::json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  return nlohmann::json::parse(file);
}

inline const std::filesystem::path kBandits = "golden/bandits";

inline std::vector<std::string> bandit_scenarios() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kBandits)) names.push_back(entry.path().filename());
  return names;
}

inline Problem read_problem(const std::string& scenario) {
  const nlohmann::json json = read_json(kBandits / scenario / "problem.json");
  return {parse_feature_map(json.at("features").get<std::string>()), json.at("actions"), json.at("reward"),
          json.at("initial_theta")};
}

inline PairMatrix read_matrix(const std::string& scenario, const std::string& file) {
  const Problem problem = read_problem(scenario);
  return make_pair_matrix(problem, read_noted_preferences(kBandits / scenario / file, problem).preferences);
}

// The settings of a method file; closed form if it says so, the authors' variant if it says `compat`.
inline EngineSettings engine_settings(const nlohmann::json& settings) {
  EngineSettings engine;
  engine.loss.type = settings.at("loss") == "ipo" ? PairLoss::kIpo : PairLoss::kDpo;
  engine.loss.beta = settings.at("beta");
  engine.robust.step_size = settings.at("eta");
  engine.robust.trade_off = settings.at("chi");
  if (settings.at("method") == "group_robust") engine.robust.mode = RobustMode::kGroupRobust;
  if (settings.at("method") == "importance") {
    engine.robust.mode = RobustMode::kImportance;
    engine.robust.estimator = Estimator::kBatchSum;
  }
  engine.theta.learning_rate = settings.at("step");
  engine.theta.ridge = settings.at("lam");
  if (settings.value("closed", false)) engine.theta.closed_form = ClosedForm::kObjective;
  if (settings.value("compat", false)) engine.theta.closed_form = ClosedForm::kAuthors;
  return engine;
}

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

// Every case of golden/bandits: the same data and settings give the theta, alpha, losses and metrics that the authors'
// program gave, on one rank and on each of three.

namespace engine_golden_test {

constexpr double kAgreement = 1e-6;  // over up to 20,000 iterations

struct Case {
  std::string scenario;
  std::string method;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const std::string& scenario : bandit_scenarios()) {
    for (const auto& entry : std::filesystem::directory_iterator(kBandits / scenario)) {
      const std::filesystem::path& path = entry.path();
      if (path.extension() == ".json" && path.stem() != "problem") cases.push_back({scenario, path.stem()});
    }
  }
  return cases;
}

void expect_near(std::span<const double> found, const nlohmann::json& expected, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i].get<double>(), kAgreement) << what;
}

std::vector<double> mean_losses(const GroupSums& sums) {
  std::vector<double> mean;
  for (std::size_t i = 0; i < sums.group.size(); ++i) mean.push_back(sums.loss_sum[i] / sums.pair_count[i]);
  return mean;
}

// Runs to the end, comparing at every recorded iteration.
void follow_trajectory(Engine& engine, const nlohmann::json& golden, const std::string& what) {
  std::set<std::int64_t> recorded;
  for (const auto& [iteration, values] : golden.at("trajectory").items()) recorded.insert(std::stoll(iteration));
  ASSERT_EQ(*recorded.rbegin(), golden.at("iterations").get<std::int64_t>()) << what;
  for (const std::int64_t iteration : recorded) {
    engine.run(iteration - engine.steps());
    const nlohmann::json& expected = golden.at("trajectory").at(std::to_string(iteration));
    const std::string where = what + " after iteration " + std::to_string(iteration);
    expect_near(engine.theta_D(), expected.at("theta"), where + " theta");
    expect_near(engine.alpha_K(), expected.at("alpha"), where + " alpha");
    expect_near(mean_losses(engine.group_sums()), expected.at("train_group_loss_before"), where + " loss");
  }
  EXPECT_EQ(engine.skipped_steps(), 0) << what;
}

class BanditCases : public testing::TestWithParam<int> {};

TEST_P(BanditCases, FollowTheAuthorsTrajectories) {
  std::size_t cases = 0;
  for (const Case& one : all_cases()) {
    const nlohmann::json golden = read_json(kBandits / one.scenario / (one.method + ".json"));
    const EngineSettings settings = engine_settings(golden.at("settings"));
    const PairMatrix matrix = read_matrix(one.scenario, "train.jsonl");
    const std::vector<double> initial_theta_D = read_problem(one.scenario).initial_theta_D;
    run_host_ranks(GetParam(), [&](HostCollective& host) {
      Engine engine(matrix, initial_theta_D, settings, host);
      const std::string rank = " rank " + std::to_string(host.info().rank);
      follow_trajectory(engine, golden, one.scenario + "/" + one.method + rank);
    });
    ++cases;
  }
  EXPECT_EQ(cases, 60u);  // six scenarios, ten methods
}

INSTANTIATE_TEST_SUITE_P(Ranks, BanditCases, testing::Values(1, 3));

TEST(BanditMetrics, AgreeWithTheAuthorsAtTheFinalTheta) {
  for (const Case& one : all_cases()) {
    const std::string what = one.scenario + "/" + one.method;
    const nlohmann::json golden = read_json(kBandits / one.scenario / (one.method + ".json"));
    const std::string last = std::to_string(golden.at("iterations").get<std::int64_t>());
    const std::vector<double> theta_D = golden.at("trajectory").at(last).at("theta");
    const Problem problem = read_problem(one.scenario);
    GroupLossEvaluator losses(read_matrix(one.scenario, "validation.jsonl"),
                              engine_settings(golden.at("settings")).loss);
    const std::vector<double> loss_K = losses.group_loss_K(theta_D);
    expect_near(loss_K, golden.at("validation_group_loss"), what);
    EXPECT_NEAR(*std::max_element(loss_K.begin(), loss_K.end()), golden.at("max_validation_group_loss"), kAgreement);
    const RewardReport report =
        RewardEvaluator(problem, read_noted_preferences(kBandits / one.scenario / "test.jsonl", problem).preferences)
            .report(theta_D);
    expect_near(report.group_reward_K, golden.at("group_reward"), what);
    expect_near(report.optimal_reward_K, golden.at("optimal_reward"), what);
    expect_near(report.reward_error_K, golden.at("reward_error"), what);
    EXPECT_NEAR(report.max_reward_error, golden.at("max_reward_error"), kAgreement) << what;
  }
}

}  // namespace engine_golden_test
}  // namespace equipoise::log_linear
