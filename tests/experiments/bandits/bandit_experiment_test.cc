#include "experiments/bandits/bandit_experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace equipoise::reproduce {
namespace bandit_experiment_test {

using testing::ElementsAre;

nlohmann::json golden(const Scenario& scenario, const std::string& file) {
  std::ifstream in("golden/bandits/" + std::string(scenario.name) + "_2021_swapped/" + file);
  return nlohmann::json::parse(in);
}

void expect_settings(const RunSettings& run, const nlohmann::json& settings) {
  EXPECT_EQ(run.engine.loss.beta, settings.at("beta").get<double>());
  EXPECT_EQ(run.engine.theta.learning_rate, settings.at("step").get<double>());
  EXPECT_EQ(run.engine.robust.step_size, settings.at("eta").get<double>());
  EXPECT_EQ(run.engine.robust.trade_off, settings.at("chi").get<double>());
  EXPECT_EQ(run.engine.theta.ridge, settings.at("lam").get<double>());
  const bool closed = settings.value("closed", false);
  EXPECT_EQ(run.engine.theta.closed_form != log_linear::ClosedForm::kOff, closed);
}

TEST(BanditExperiment, HasTheSettingsOfTheAuthors) {
  for (const Scenario& scenario : paper_scenarios()) {
    for (const auto& [method, file] : {std::pair{Method::kDpo, "dpo.json"},
                                       {Method::kIsDpo, "is_dpo.json"},
                                       {Method::kGrDpo, "gr_dpo.json"},
                                       {Method::kIpo, "ipo_closed.json"},
                                       {Method::kGrIpo, "gr_ipo_closed.json"},
                                       {Method::kGrIpoAuthors, "gr_ipo_closed_authors.json"}}) {
      SCOPED_TRACE(std::string(scenario.name) + " " + file);
      const nlohmann::json golden_file = golden(scenario, file);
      const RunSettings run = method_settings(scenario, method);
      expect_settings(run, golden_file.at("settings"));
      const int published = golden_file.at("iterations").get<int>();
      EXPECT_EQ(run.iterations, family_of(method) == Family::kDpo ? published : 100);
    }
    expect_settings(trade_off_settings(scenario, Family::kDpo, 0.5),
                    golden(scenario, "gr_dpo_chi05.json").at("settings"));
    expect_settings(gap_settings(scenario, GapMethod::kGrIpoGradient), golden(scenario, "gr_ipo.json").at("settings"));
  }
}

TEST(BanditExperiment, HasTheProblemAndTheGroupSizesOfTheAuthors) {
  for (const Scenario& scenario : paper_scenarios()) {
    const nlohmann::json problem = golden(scenario, "problem.json");
    const log_linear::Problem ours = paper_problem(log_linear::FeatureMap::kSwapped, 1);
    EXPECT_EQ(ours.reward_KD, problem.at("reward").get<std::vector<std::vector<double>>>());
    EXPECT_EQ(ours.actions, problem.at("actions").get<std::uint32_t>());
    std::array<std::uint64_t, 2> sizes{0, 0};
    std::ifstream train("golden/bandits/" + std::string(scenario.name) + "_2021_swapped/train.jsonl");
    for (std::string line; std::getline(train, line);) {
      ++sizes.at(nlohmann::json::parse(line).at("group").get<std::size_t>());
    }
    EXPECT_EQ(scenario.train_sizes_K, sizes) << scenario.name;
  }
}

TEST(BanditExperiment, LogSpacedIterationsAscendToTheLast) {
  EXPECT_THAT(log_spaced_iterations(1000, 1), ElementsAre(0, 1, 10, 100, 1000));
  EXPECT_THAT(log_spaced_iterations(30, 1), ElementsAre(0, 1, 10, 30));
  EXPECT_THAT(log_spaced_iterations(1, 12), ElementsAre(0, 1));
  const std::vector<std::int64_t> many = log_spaced_iterations(20000, 12);
  for (std::size_t i = 1; i < many.size(); ++i) EXPECT_LT(many[i - 1], many[i]);
}

}  // namespace bandit_experiment_test
}  // namespace equipoise::reproduce
