// Reads the bandit cases that the authors' program made (golden/bandits) into problems and settings.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/log_linear/engine.h"
#include "common/log_linear/preference.h"
#include "common/log_linear/problem.h"

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

}  // namespace equipoise::log_linear
