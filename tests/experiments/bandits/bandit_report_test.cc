#include "experiments/bandits/bandit_report.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <sstream>
#include <vector>

#include "common/log_linear/evaluation.h"
#include "experiments/bandits/bandit_claims.h"
#include "experiments/report/report_page.h"
#include "tests/experiments/report/page_results.h"
#include "tests/support/temp_folder.h"

namespace equipoise::reproduce {
namespace bandit_report_test {

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

class BanditReport : public testing::Test {
 protected:
  static void SetUpTestSuite() { results_ = run_bandits({.seeds = 2, .most_iterations = 30}, 2, nullptr); }
  static BanditResults results_;
};

BanditResults BanditReport::results_;

TEST_F(BanditReport, ShowsAllSectionsInABrowserAndFetchesNothing) {
  const TempFolder folder;
  const std::string file = folder.write("report.html", bandit_report(results_, judge_bandits(results_)));
  EXPECT_EQ(std::system(("python3 experiments/report/check_report.py " + file + " bandits").c_str()), 0);
}

TEST_F(BanditReport, HasTheFinalMeanOfEveryMethodInEveryScenario) {
  const nlohmann::json shown = page_results(bandit_report(results_, judge_bandits(results_)));
  for (std::size_t s = 0; s < paper_scenarios().size(); ++s) {
    for (std::size_t m = 0; m < kMethods.size(); ++m) {
      const nlohmann::json& method = shown["scenarios"][s]["methods"][m];
      EXPECT_EQ(method["method"], method_name(kMethods[m]));
      EXPECT_EQ(method["final"]["max_validation_loss"]["mean"],
                mean(final_values(results_.runs[s], kMethods[m], max_validation_loss)));
    }
  }
}

TEST_F(BanditReport, StatesEveryClaimWithItsRuleAndItsNumbers) {
  const std::vector<Claim> claims = judge_bandits(results_);
  EXPECT_GE(claims.size(), 20U);
  for (const Claim& claim : claims) EXPECT_EQ(claim.findings.size(), paper_scenarios().size());
  EXPECT_EQ(page_results(bandit_report(results_, claims))["claims"], claims_json(claims));
}

TEST_F(BanditReport, SaysThatRunsWereShortened) {
  const nlohmann::json shown = page_results(bandit_report(results_, {}));
  EXPECT_EQ(shown["most_iterations"], 30);
  EXPECT_EQ(shown["scenarios"][0]["methods"][0]["settings"]["iterations"], 30);
}

TEST_F(BanditReport, FilesAreThoseThatAreAnnounced) {
  std::vector<std::string> names;
  for (const ReportFile& file : bandit_report_files(results_, {})) names.push_back(file.name);
  EXPECT_EQ(names, bandit_report_names());
}

}  // namespace bandit_report_test
}  // namespace equipoise::reproduce
