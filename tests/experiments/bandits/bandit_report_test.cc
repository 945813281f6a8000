#include "experiments/bandits/bandit_report.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "experiments/bandits/bandit_series.h"
#include "experiments/report/report_page.h"
#include "tests/experiments/report/page_results.h"
#include "tests/support/temp_folder.h"

namespace equipoise::reproduce {
namespace bandit_report_test {

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
