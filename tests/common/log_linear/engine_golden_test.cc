// Every case of golden/bandits: the same data and settings give the theta, alpha, losses and metrics that the authors'
// program gave, on one rank and on each of three.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "common/log_linear/evaluation.h"
#include "tests/common/log_linear/bandit_case.h"
#include "worker/collective/thread_ranks.h"

namespace equipoise::log_linear {
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
