#include "client/reproduce/bandit_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "client/reproduce/bandit_series.h"
#include "client/reproduce/significant_text.h"
#include "tests/support/temp_folder.h"

namespace equipoise::reproduce {
namespace bandit_report_test {

using testing::HasSubstr;

class BanditReport : public testing::Test {
 protected:
  static void SetUpTestSuite() { results_ = run_bandits({.seeds = 2, .most_iterations = 30}, 2, nullptr); }
  static BanditResults results_;
};

BanditResults BanditReport::results_;

TEST_F(BanditReport, IsOneWellFormedFileWithAllSectionsThatFetchesNothing) {
  const TempFolder folder;
  const std::string file = folder.write("report.html", bandit_report(results_, judge_bandits(results_)));
  EXPECT_EQ(std::system(("python3 client/reproduce/check_report.py " + file + " bandits").c_str()), 0);
}

TEST_F(BanditReport, ShowsTheFinalMeanOfEveryMethodInEveryScenario) {
  const std::string report = bandit_report(results_, judge_bandits(results_));
  for (const std::vector<BanditRun>& runs : results_.runs) {
    for (const Method method : kMethods) {
      const double loss = mean(final_values(runs, method, max_validation_loss));
      EXPECT_THAT(report, HasSubstr(std::string(">").append(significant_text(loss)).append("<")))
          << method_name(method);
    }
  }
}

TEST_F(BanditReport, StatesEveryClaimWithItsRuleAndItsNumbers) {
  const std::vector<Claim> claims = judge_bandits(results_);
  const std::string report = bandit_report(results_, claims);
  EXPECT_GE(claims.size(), 20U);
  for (const Claim& claim : claims) {
    EXPECT_EQ(claim.findings.size(), paper_scenarios().size());
    for (const auto& finding : claim.findings) {
      if (finding) {
        EXPECT_THAT(report, HasSubstr(finding->numbers));
      }
    }
  }
}

TEST_F(BanditReport, SaysThatRunsWereShortened) {
  EXPECT_THAT(bandit_report(results_, {}), HasSubstr("at most 30 iterations"));
}

TEST_F(BanditReport, FilesAreThoseThatAreAnnounced) {
  std::vector<std::string> names;
  for (const ReportFile& file : bandit_report_files(results_, {})) names.push_back(file.name);
  EXPECT_EQ(names, bandit_report_names());
}

}  // namespace bandit_report_test
}  // namespace equipoise::reproduce
