#include "experiments/bandits/bandit_csv.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <vector>

#include "common/log_linear/evaluation.h"

namespace equipoise::reproduce {
namespace bandit_csv_test {

using Row = std::vector<std::string>;

// Without quotes, as no cell of the numbers has any.
std::vector<Row> rows_of(const std::string& csv) {
  std::vector<Row> rows;
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    rows.emplace_back();
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');) rows.back().push_back(cell);
  }
  return rows;
}

BanditResults small() { return run_bandits({.first_seed = 11, .seeds = 2, .most_iterations = 25}, 2, nullptr); }

std::vector<log_linear::Preference> pairs_of(const log_linear::Problem& problem, std::vector<std::uint64_t> sizes,
                                             std::uint64_t seed) {
  return generate_preferences(problem, {.group_sizes_K = std::move(sizes), .seed = seed});
}

// The engine by hand, on data drawn by hand: the even, imbalanced scenario, GR-DPO, seed 12.
TEST(BanditCsv, CurvesAreWhatTheEngineGives) {
  const log_linear::Problem problem = paper_problem(log_linear::FeatureMap::kSwapped, 12);
  const auto train = make_pair_matrix(problem, pairs_of(problem, {60, 240}, 36));
  const auto validation = make_pair_matrix(problem, pairs_of(problem, {500, 500}, 37));
  log_linear::EngineSettings settings;
  settings.loss.beta = 1.0;
  settings.robust.mode = RobustMode::kGroupRobust;
  settings.robust.step_size = 0.9;
  settings.theta.learning_rate = 0.5;
  log_linear::Engine engine(train, problem.initial_theta_D, settings);
  engine.run(25);
  const auto loss_K = log_linear::GroupLossEvaluator(validation, settings.loss).group_loss_K(engine.theta_D());
  const auto reward = log_linear::RewardEvaluator(problem, pairs_of(problem, {500, 500}, 38)).report(engine.theta_D());

  for (const Row& row : rows_of(curves_csv(small()))) {
    if (row[0] != "even_imbalanced" || row[1] != "GR-DPO" || row[2] != "12" || row[3] != "25") continue;
    EXPECT_EQ(std::stod(row[5]), reward.max_reward_error);
    EXPECT_EQ(std::stod(row[6]), loss_K[0]);
    EXPECT_EQ(std::stod(row[7]), loss_K[1]);
    EXPECT_EQ(std::stod(row[10]), engine.alpha_K()[0]);
    return;
  }
  FAIL() << "no such row";
}

TEST(BanditCsv, SummaryIsTheStatisticsOfTheCurves) {
  const BanditResults results = small();
  std::map<std::string, std::vector<double>> curves;
  for (const Row& row : rows_of(curves_csv(results))) {
    if (row[0] == "scenario" || row[3] == "0") continue;
    curves[row[0] + row[1] + "max_validation_loss" + row[3]].push_back(std::stod(row[4]));
    curves[row[0] + row[1] + "max_reward_error" + row[3]].push_back(std::stod(row[5]));
  }
  std::size_t rows = 0;
  for (const Row& row : rows_of(summary_csv(results))) {
    if (row[0] == "scenario") continue;
    const std::vector<double>& values = curves.at(row[0] + row[1] + row[2] + row[3]);
    EXPECT_DOUBLE_EQ(std::stod(row[4]), (values[0] + values[1]) / 2);
    ++rows;
  }
  EXPECT_EQ(rows, curves.size());
}

TEST(BanditCsv, EveryRowHasAsManyCellsAsTheHeader) {
  const BanditResults results = small();
  for (const std::string& csv :
       {curves_csv(results), summary_csv(results), trade_off_csv(results), duality_gap_csv(results)}) {
    const std::vector<Row> rows = rows_of(csv);
    ASSERT_GT(rows.size(), 1U);
    for (const Row& row : rows) EXPECT_EQ(row.size(), rows[0].size()) << csv.substr(0, 60);
  }
}

TEST(BanditCsv, QuotesCellsThatHoldCommasOrQuotes) {
  const Claim claim{"a, b", "say \"c\"", {Finding{Verdict::kHolds, "1"}}};
  EXPECT_EQ(claims_csv(std::vector<Claim>{claim}),
            "claim,rule,scenario,verdict,numbers\n\"a, b\",\"say \"\"c\"\"\",even_imbalanced,holds,1\n");
}

}  // namespace bandit_csv_test
}  // namespace equipoise::reproduce
